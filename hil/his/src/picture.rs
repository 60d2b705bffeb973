//! Pictures for examination reports, drawn so that each report has its own.

use rig::Rng;

const WIDTH: u32 = 640;
const HEIGHT: u32 = 480;

/// A grey PNG for an examination: a tracing for 3 心电, a speckled fan for the others.
pub(crate) fn exam(id: &str, kind: i64) -> Option<Vec<u8>> {
    let seed = id
        .bytes()
        .fold(7, |sum: u64, b| sum.wrapping_mul(31).wrapping_add(u64::from(b)));
    let mut rng = Rng::new(seed);
    let mut pixels = vec![if kind == 3 { 250_u8 } else { 8 }; (WIDTH * HEIGHT) as usize];
    if kind == 3 {
        tracing_lines(&mut pixels, &mut rng);
    } else {
        fan(&mut pixels, &mut rng);
    }
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&pixels).ok()?;
    writer.finish().ok()?;
    Some(out)
}

fn set(pixels: &mut [u8], x: i64, y: i64, value: u8) {
    let inside = (0..i64::from(WIDTH)).contains(&x) && (0..i64::from(HEIGHT)).contains(&y);
    let at = usize::try_from(y * i64::from(WIDTH) + x).unwrap_or(usize::MAX);
    if let (true, Some(pixel)) = (inside, pixels.get_mut(at)) {
        *pixel = value;
    }
}

fn tracing_lines(pixels: &mut [u8], rng: &mut Rng) {
    for (y, x) in (0..i64::from(HEIGHT)).flat_map(|y| (0..i64::from(WIDTH)).map(move |x| (y, x))) {
        if x % 20 == 0 || y % 20 == 0 {
            set(pixels, x, y, 225);
        }
    }
    let period = rng.between(90, 130);
    for lead in 0..4_i64 {
        let base = 70 + lead * 110;
        let mut last = base;
        for x in 0..i64::from(WIDTH) {
            let y = base - beat(x % period);
            for step in last.min(y)..=last.max(y) {
                set(pixels, x, step, 20);
            }
            last = y;
        }
    }
}

fn beat(phase: i64) -> i64 {
    match phase {
        10..=20 => 6 - (phase - 15).abs(),
        28..=30 => -4 * (phase - 27),
        31..=36 => (phase - 31) * 12 - 12,
        37..=42 => 48 - (phase - 37) * 12,
        60..=76 => 12 - (phase - 68).abs(),
        _ => 0,
    }
}

fn fan(pixels: &mut [u8], rng: &mut Rng) {
    let (cx, cy) = (i64::from(WIDTH) / 2, 20);
    let (hx, hy) = (rng.between(250, 390), rng.between(180, 320));
    for y in 0..i64::from(HEIGHT) {
        for x in 0..i64::from(WIDTH) {
            let (dx, dy) = ((x - cx).abs(), y - cy);
            let reach = dx * dx + dy * dy;
            if dy > 0 && dx < dy && (3_600..190_000).contains(&reach) {
                let dark = (x - hx).pow(2) / 3 + (y - hy).pow(2) < 1_600;
                let grey = if dark { rng.between(5, 30) } else { rng.between(40, 170) };
                set(pixels, x, y, u8::try_from(grey).unwrap_or(0));
            }
        }
    }
}
