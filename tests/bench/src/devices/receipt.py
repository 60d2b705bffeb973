# The same receipt by python-escpos: Chinese as a picture (the printer's fonts lack names), QR, cut. Prints JSON.
import json, socket, sys, time

try:
    from escpos.printer import Dummy
    from PIL import Image, ImageDraw, ImageFont
except ImportError as missing:
    print(json.dumps({"missing": str(missing)}))
    sys.exit(0)

slip, host, port, rounds, font = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
WIDTH = slip["width"]
faces = {size: ImageFont.truetype(font, size, index=2) for size in (23, 28, 34, 40)}


def wrap(text, face, width):
    lines, line = [], ""
    for c in text:
        if face.getlength(line + c) > width and line:
            lines.append(line)
            line = ""
        line += c
    return lines + [line]


def make():
    rows = [(slip["header"], 40), (slip["title"], 34)]
    rows += [(f"{label}：{value}", 28) for label, value in slip["fields"]]
    for name, tail, note in slip["items"]:
        rows += [(f"{name}  {tail}", 28), (note, 23)]
    rows += [(f"合计  {slip['total']}", 34)]
    rows += [(line, 23) for line in slip["footer"]]
    lines = [(line, size) for text, size in rows for line in wrap(text, faces[size], WIDTH - 32)]
    page = Image.new("1", (WIDTH, int(sum(size * 1.35 for _, size in lines)) + 24), 1)
    draw, y = ImageDraw.Draw(page), 12
    for line, size in lines:
        draw.text((16, y), line, font=faces[size], fill=0)
        y += int(size * 1.35)
    out = Dummy()
    out.image(page, center=False)
    out.qr(slip["qr"], native=False, size=7)
    out.text(slip["qr"] + "\n")
    out.cut()
    return out.output


times, sizes = [], 0
for n in range(rounds + 3):
    began = time.perf_counter()
    data = make()
    made = time.perf_counter()
    # Status before, bytes, and the same fence after: what the product waits for.
    with socket.create_connection((host, port)) as line:
        line.sendall(b"\x10\x04\x01")
        line.recv(1)
        line.sendall(data + b"\x1dr\x01")
        line.recv(1)
    done = time.perf_counter()
    if n >= 3:
        times.append([made - began, done - began])
    sizes = len(data)
print(json.dumps({"times": times, "bytes": sizes}))
