"""A client of GB/T 38629-2020 by somebody who read the standard alone: DER by hand, the standard library, and openssl as
the judge of what the server signed. It shares no code with the server.

    foreign.py PORT CLIENT.pem FOLDER
"""

import http.client
import pathlib
import ssl
import subprocess
import sys

PORT, CLIENT, FOLDER = int(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
SGD_SM3_SM2 = 0x00020201
USER_ID = b"1234567812345678"
SIGNATURE_INVALID, KEY_INDEX = 0x0400000C, 0x04000005


# DER (ITU-T X.690).
def tlv(tag, value):
    size = len(value)
    if size < 0x80:
        length = bytes([size])
    else:
        digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
        length = bytes([0x80 | len(digits)]) + digits
    return bytes([tag]) + length + value


def integer(number):
    return tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def octets(value):
    return tlv(0x04, value)


def parts(value):
    """The elements of a constructed value: (tag, value, whole)."""
    found, at = [], 0
    while at < len(value):
        start, tag, size = at, value[at], value[at + 1]
        at += 2
        if size & 0x80:
            digits = size & 0x7F
            size = int.from_bytes(value[at : at + digits], "big")
            at += digits
        found.append((tag, value[at : at + size], value[start : at + size]))
        at += size
    assert at == len(value), "trailing bytes"
    return found


def only(value, tag):
    (found,) = parts(value)
    assert found[0] == tag, f"{found[0]:#x} where {tag:#x} belongs"
    return found[1]


def openssl(*arguments, data=None):
    done = subprocess.run(["openssl", *arguments], input=data, cwd=FOLDER, capture_output=True, check=False)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def ask(kind, fields, version=b""):
    """SVSRequest { version DEFAULT v1, reqType, request [n], reqTime [0] }; the answer's code and payload."""
    request = tlv(0xA0 | kind, b"".join(fields))
    body = tlv(0x30, version + integer(kind) + request + tlv(0x80, b"20261121060000Z"))
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    trust.load_cert_chain(CLIENT)
    line = http.client.HTTPSConnection("localhost", PORT, context=trust)
    line.request("POST", "/svs", body, {"Content-Type": "application/octet-stream"})
    answer = line.getresponse()
    said = answer.read()
    assert answer.getheader("Content-Type") == "application/octet-stream", said
    (FOLDER / "answer.der").write_bytes(said)
    openssl("asn1parse", "-inform", "DER", "-in", "answer.der")
    (resp_type, respond, resp_time) = parts(only(said, 0x30))
    assert (resp_type[0], int.from_bytes(resp_type[1], "big")) == (0x02, kind)
    assert respond[0] == 0xA0 | kind and resp_time[0] == 0x80 and resp_time[1].endswith(b"Z")
    (code, *payload) = parts(respond[1])
    assert code[0] == 0x02
    return int.from_bytes(code[1], "big"), payload


def signed_by(certificate, signature, data):
    """Openssl agrees that this key signed this, under the usual id."""
    for name, value in (("cert.der", certificate), ("signature", signature), ("data", data)):
        (FOLDER / name).write_bytes(value)
    (FOLDER / "key.pem").write_bytes(openssl("x509", "-inform", "DER", "-in", "cert.der", "-noout", "-pubkey"))
    done = openssl(
        "dgst", "-sm3", "-verify", "key.pem", "-sigopt", f"distid:{USER_ID.decode()}", "-signature", "signature", "data"
    )
    assert b"Verified OK" in done, done


DATA = "处方:阿莫西林胶囊 0.5g".encode() * 20

# 0 exportCert, 1 parseCert, 2 validateCert
code, payload = ask(0, [octets(b"1")])
assert code == 0
CERT = payload[0][2]
assert ask(0, [octets(b"1")], version=integer(0))[0] == 0, "the default written out"
code, payload = ask(1, [integer(0x31), CERT])
assert code == 0 and payload[0][1].decode() == "签名服务器", payload
code, payload = ask(2, [CERT])
assert code == 0 and payload[0][1] == b"\0"

# 3 signData, 4 verifySignedData
what = [integer(len(DATA)), octets(DATA)]
code, payload = ask(3, [integer(SGD_SM3_SM2), integer(1), octets(b""), *what])
assert code == 0
SIGNATURE = payload[0][1]
signed_by(CERT, SIGNATURE, DATA)
own_id = [tlv(0x80, integer(len(USER_ID))[2:]), tlv(0x81, USER_ID)]
code, payload = ask(3, [integer(SGD_SM3_SM2), integer(1), octets(b""), *own_id, *what])
assert code == 0
signed_by(CERT, payload[0][1], DATA)


def verify(data, tagged):
    fields = [integer(SGD_SM3_SM2), integer(1), tagged, integer(len(data)), octets(data), octets(SIGNATURE), integer(1)]
    return ask(4, fields)[0]


IMPLICIT, EXPLICIT = tlv(0xA0, only(CERT, 0x30)), tlv(0xA0, CERT)
assert verify(DATA, IMPLICIT) == 0
assert verify(DATA, EXPLICIT) == 0
assert verify(DATA + b" ", IMPLICIT) == SIGNATURE_INVALID

# 5, 6, 7: long data by parts
code, payload = ask(5, [integer(SGD_SM3_SM2), integer(3), octets(b"abc")])
assert code == 0
SESSION = payload[0][1]
assert ask(6, [octets(SESSION), integer(3), octets(b"def")])[0] == 0
code, payload = ask(7, [octets(SESSION), integer(1), octets(b"")])
assert code == 0
signed_by(CERT, payload[0][1], b"abcdef")

# 11 signMessage (GB/T 35275), 12 verifySignedMessage
flags = [tlv(0x80, b"\xff"), tlv(0x81, b"\xff")]
code, payload = ask(11, [integer(SGD_SM3_SM2), integer(1), octets(b""), *what, *flags])
assert code == 0
MESSAGE = payload[0][1]
(FOLDER / "message.der").write_bytes(MESSAGE)
shown = openssl("asn1parse", "-inform", "DER", "-in", "message.der")
kind, explicit = parts(only(MESSAGE, 0x30))
assert openssl("asn1parse", "-inform", "DER", data=kind[2]).strip().endswith(b"1.2.156.10197.6.1.4.2.2"), shown
signed_data = parts(only(explicit[1], 0x30))
encapsulated = parts(signed_data[2][1])
content = only(encapsulated[1][1], 0x04)
assert content == DATA
assert signed_data[3][0] == 0xA0 and parts(signed_data[3][1])[0][2] == CERT, "the signer's certificate first"
signer = parts(only(signed_data[-1][1], 0x30))
attributes = next(part for part in signer if part[0] == 0xA0)
digest = openssl("dgst", "-sm3", "-binary", data=content)
assert octets(digest) in attributes[1], "messageDigest"
signature = next(part for part in signer if part[0] == 0x04)
signed_by(CERT, signature[1], b"\x31" + attributes[2][1:])

assert ask(12, [octets(MESSAGE)])[0] == 0
assert ask(12, [MESSAGE])[0] == 0, "the message as it is"
code, payload = ask(11, [integer(SGD_SM3_SM2), integer(1), octets(b""), *what])
DETACHED = payload[0][1]
assert ask(12, [*what, octets(DETACHED)])[0] == 0
assert ask(12, [integer(2), octets(b"no"), octets(DETACHED)])[0] == SIGNATURE_INVALID

# Refusals have the standard's numbers.
assert ask(3, [integer(SGD_SM3_SM2), integer(9), octets(b""), *what])[0] != 0
print("agreed")
