"""One TLS 1.3 conversation of RFC 8998 by Tongsuo: peer.py server|client PORT NAME ROOT [CERTIFICATE KEY]

Says what it is told on standard input, prints the suite and what it heard. A server asks for a certificate and prints its
port first. Needs the package tongsuopy, which carries the whole library in one shared object.
"""
import ctypes
import glob
import os
import socket
import sys

import tongsuopy

folder = os.path.dirname(tongsuopy.__file__)
library = ctypes.CDLL(glob.glob(os.path.join(folder, "backends", "_tongsuo*.so"))[0])
pointer, text = ctypes.c_void_p, ctypes.c_char_p


def function(name, result, *arguments):
    found = getattr(library, name)
    found.restype, found.argtypes = result, arguments
    return found


method = function("TLS_method", pointer)
new_context = function("SSL_CTX_new", pointer, pointer)
set_context = function("SSL_CTX_ctrl", ctypes.c_long, pointer, ctypes.c_int, ctypes.c_long, pointer)
set_suites = function("SSL_CTX_set_ciphersuites", ctypes.c_int, pointer, text)
set_roots = function("SSL_CTX_load_verify_locations", ctypes.c_int, pointer, text, text)
set_chain = function("SSL_CTX_use_certificate_chain_file", ctypes.c_int, pointer, text)
set_key = function("SSL_CTX_use_PrivateKey_file", ctypes.c_int, pointer, text, ctypes.c_int)
set_verify = function("SSL_CTX_set_verify", None, pointer, ctypes.c_int, pointer)
new = function("SSL_new", pointer, pointer)
set_socket = function("SSL_set_fd", ctypes.c_int, pointer, ctypes.c_int)
set_host = function("SSL_set1_host", ctypes.c_int, pointer, text)
set_connection = function("SSL_ctrl", ctypes.c_long, pointer, ctypes.c_int, ctypes.c_long, pointer)
connect = function("SSL_connect", ctypes.c_int, pointer)
accept = function("SSL_accept", ctypes.c_int, pointer)
read = function("SSL_read", ctypes.c_int, pointer, pointer, ctypes.c_int)
write = function("SSL_write", ctypes.c_int, pointer, text, ctypes.c_int)
shutdown = function("SSL_shutdown", ctypes.c_int, pointer)
judged = function("SSL_get_verify_result", ctypes.c_long, pointer)
cipher = function("SSL_get_current_cipher", pointer, pointer)
cipher_name = function("SSL_CIPHER_get_name", text, pointer)
next_error = function("ERR_get_error", ctypes.c_ulong)
error_text = function("ERR_error_string", text, ctypes.c_ulong, pointer)


def must(done, what):
    if not done:
        texts = []
        while code := next_error():
            texts.append(error_text(code, None).decode())
        sys.exit(f"{what}: {'; '.join(texts)}")


def string(value):
    return ctypes.cast(ctypes.c_char_p(value), pointer)


side, port, name, root = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode(), sys.argv[4].encode()
context = new_context(method())
must(set_context(context, 123, 0x0304, None), "lowest version")
must(set_suites(context, b"TLS_SM4_GCM_SM3"), "suite")
must(set_context(context, 92, 0, string(b"SM2")), "group")
must(set_context(context, 98, 0, string(b"sm2sig_sm3")), "signature algorithm")
must(set_roots(context, root, None), "root")
if len(sys.argv) > 5:
    must(set_chain(context, sys.argv[5].encode()), "certificate")
    must(set_key(context, sys.argv[6].encode(), 1), "key")
set_verify(context, 1 if side == "client" else 3, None)
words = sys.stdin.buffer.read()
if side == "server":
    listener = socket.create_server(("127.0.0.1", port))
    print(listener.getsockname()[1], flush=True)
    stream, _ = listener.accept()
else:
    stream = socket.create_connection(("127.0.0.1", port))
ssl = new(context)
must(set_socket(ssl, stream.fileno()), "socket")
if side == "client":
    must(set_host(ssl, name), "name")
    must(set_connection(ssl, 55, 0, string(name)), "name to send")
    must(connect(ssl) == 1, "handshake")
else:
    must(accept(ssl) == 1, "handshake")
must(judged(ssl) == 0, "certificate of the other side")
must(write(ssl, words, len(words)) == len(words), "said")
heard, buffer = b"", ctypes.create_string_buffer(65536)
while (length := read(ssl, buffer, len(buffer))) > 0:
    heard += buffer.raw[:length]
shutdown(ssl)
print(cipher_name(cipher(ssl)).decode(), heard.decode())
