//! Shares of a secret: Shamir's scheme over GF(2⁸) with the polynomial of AES, byte by byte. Any `needed` of them give the
//! secret; fewer say nothing about it. No branch and no table read depends on a secret (the library crates read tables).
//!
//! As text: `YQS1-GROUP-NEEDED-NUMBER-SHARE-CHECK`, group and share in hexadecimal, check the first four bytes of SM3 over
//! what stands before. Blanks and lines are of no meaning.

use zeroize::Zeroizing;

use crate::Refusal;
use crate::wrap;

/// Bytes of the secret.
pub(super) const SECRET: usize = 32;
/// Bytes of a group's id.
pub(super) const GROUP: usize = 8;
const MARK: &str = "YQS1";

/// One share.
#[derive(Clone)]
pub(super) struct Share {
    pub(super) group: [u8; GROUP],
    /// How many are needed.
    pub(super) needed: u8,
    /// Its place: the point at which the polynomials were taken, never 0.
    pub(super) number: u8,
    pub(super) value: Zeroizing<[u8; SECRET]>,
}

/// The product in GF(2⁸) modulo x⁸ + x⁴ + x³ + x + 1.
fn multiply(mut a: u8, b: u8) -> u8 {
    let mut product = 0;
    for bit in 0..8 {
        product ^= a & 0u8.wrapping_sub((b >> bit) & 1);
        a = (a << 1) ^ (0x1b & 0u8.wrapping_sub(a >> 7));
    }
    product
}

/// a²⁵⁴, the inverse; 0 for 0.
fn invert(a: u8) -> u8 {
    let mut power = a;
    let mut result = 1;
    for _ in 0..7 {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    result
}

/// Splits a secret among `count`, any `needed` of whom give it.
pub(super) fn split(secret: &[u8; SECRET], group: [u8; GROUP], needed: u8, count: u8) -> Result<Vec<Share>, Refusal> {
    let mut coefficients = Vec::new();
    for _ in 1..needed {
        coefficients.push(Zeroizing::new(wrap::random::<SECRET>()?));
    }
    let shares = (1..=count).map(|number| {
        // Horner's rule, from the highest power.
        let mut value = Zeroizing::new([0u8; SECRET]);
        for coefficient in coefficients.iter().rev() {
            for (sum, digit) in value.iter_mut().zip(coefficient.iter()) {
                *sum = multiply(*sum ^ digit, number);
            }
        }
        for (sum, digit) in value.iter_mut().zip(secret) {
            *sum ^= digit;
        }
        Share {
            group,
            needed,
            number,
            value,
        }
    });
    Ok(shares.collect())
}

/// The secret of shares of one group with different numbers, as many as are needed (Lagrange, at 0).
pub(super) fn combine(shares: &[Share]) -> Zeroizing<[u8; SECRET]> {
    let mut secret = Zeroizing::new([0u8; SECRET]);
    for share in shares {
        let mut weight = 1;
        for other in shares.iter().filter(|other| other.number != share.number) {
            weight = multiply(weight, multiply(other.number, invert(other.number ^ share.number)));
        }
        for (sum, digit) in secret.iter_mut().zip(share.value.iter()) {
            *sum ^= multiply(*digit, weight);
        }
    }
    secret
}

impl Share {
    /// As it is printed.
    pub(super) fn text(&self) -> Zeroizing<String> {
        let body = Zeroizing::new(format!(
            "{MARK}-{}-{}-{}-{}",
            hex::encode_upper(self.group),
            self.needed,
            self.number,
            hex::encode_upper(self.value.as_slice())
        ));
        Zeroizing::new(format!("{}-{}", body.as_str(), check(&body)))
    }

    /// Reads what was printed, typed or kept in a file.
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let wrong = || Refusal::no("share_text", "分量不完整或有误（校验码不符），请核对后重新输入。");
        let letters: String = text.split_whitespace().collect::<String>().to_ascii_uppercase();
        let letters = Zeroizing::new(letters);
        let (body, given) = letters.rsplit_once('-').ok_or_else(wrong)?;
        if check(body) != given {
            return Err(wrong());
        }
        let parts: Vec<&str> = body.split('-').collect();
        let [MARK, group, needed, number, value] = parts.as_slice() else {
            return Err(wrong());
        };
        let mut share = Self {
            group: [0; GROUP],
            needed: needed.parse().map_err(|_| wrong())?,
            number: number.parse().map_err(|_| wrong())?,
            value: Zeroizing::new([0; SECRET]),
        };
        hex::decode_to_slice(group, &mut share.group).map_err(|_| wrong())?;
        hex::decode_to_slice(value, share.value.as_mut_slice()).map_err(|_| wrong())?;
        if share.number == 0 || share.needed < 2 {
            return Err(wrong());
        }
        Ok(share)
    }
}

fn check(body: &str) -> String {
    hex::encode_upper(gm::sm3(body.as_bytes()).first_chunk::<4>().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197, 4.2 and 4.2.1.
    #[test]
    fn products_are_those_of_the_standard() {
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert_eq!(multiply(0x57, 0x13), 0xfe);
        for a in 1..=255 {
            assert_eq!(multiply(a, invert(a)), 1, "{a}");
        }
        assert_eq!(invert(0), 0);
    }

    /// Computed by hand: secret 0x2a, second coefficient 0x11, third 0x07: f(x) = 2a + 11·x + 07·x².
    #[test]
    fn shares_of_a_known_polynomial_give_its_secret() {
        let share = |number, value| Share {
            group: [0; GROUP],
            needed: 3,
            number,
            value: Zeroizing::new([value; SECRET]),
        };
        let f = |x| 0x2a ^ multiply(0x11, x) ^ multiply(0x07, multiply(x, x));
        assert_eq!((f(1), f(2), f(3)), (0x3c, 0x14, 0x02));
        let shares = [share(1, 0x3c), share(2, 0x14), share(3, 0x02)];
        assert_eq!(*combine(&shares), [0x2a; SECRET]);
    }

    #[test]
    fn any_so_many_shares_give_the_secret_and_fewer_do_not() {
        let secret: [u8; SECRET] = wrap::random().expect("random");
        let shares = split(&secret, [7; GROUP], 3, 5).expect("split");
        for a in 0..5 {
            for b in a + 1..5 {
                assert_ne!(*combine(&[shares[a].clone(), shares[b].clone()]), secret);
                for c in b + 1..5 {
                    let three = [shares[c].clone(), shares[a].clone(), shares[b].clone()];
                    assert_eq!(*combine(&three), secret);
                }
            }
        }
    }

    #[test]
    fn a_share_is_read_back_and_a_wrong_letter_is_seen() {
        let share = split(&[9; SECRET], [0xab; GROUP], 2, 3).expect("split").remove(1);
        let text = share.text();
        let typed = format!(" {}\n{}", &text[..20].to_lowercase(), &text[20..]);
        let back = Share::read(&typed).expect("read");
        assert_eq!((back.group, back.needed, back.number), (share.group, 2, 2));
        assert_eq!(*back.value, *share.value);
        for n in 0..text.len() {
            let mut wrong = text.as_bytes().to_vec();
            wrong[n] = if wrong[n] == b'7' { b'8' } else { b'7' };
            assert!(Share::read(&String::from_utf8_lossy(&wrong)).is_err(), "{n}");
        }
        for wrong in ["", "-", "YQS1", &text[1..]] {
            assert!(Share::read(wrong).is_err());
        }
    }
}
