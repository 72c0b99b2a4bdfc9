//! The part of DER that keys need: sequences of integers, and two fixed forms.

use zeroize::Zeroizing;

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// Reads the integers at the begin of a sequence, such as those of an RSA key in PKCS #1. They are
/// big-endian, without leading zeros.
pub(super) fn integers(der: &[u8]) -> Option<Vec<&[u8]>> {
    let (SEQUENCE, mut rest, _) = element(der)? else { return None };
    let mut integers = Vec::new();
    while let Some((INTEGER, content, after)) = element(rest) {
        integers.push(without_zeros(content));
        rest = after;
    }
    Some(integers)
}

/// Reads the first element. Returns its tag, its content and the rest.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let bytes = usize::from(first & 0x7f);
        if bytes > 4 {
            return None;
        }
        let (digits, after) = rest.split_at_checked(bytes)?;
        length =
            digits.iter().try_fold(0_usize, |sum, digit| sum.checked_mul(256)?.checked_add(usize::from(*digit)))?;
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

pub(super) fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Returns the length of a number in bits.
pub(super) fn bits(number: &[u8]) -> usize {
    let number = without_zeros(number);
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

/// Writes a sequence of integers that are not negative.
pub(super) fn sequence(integers: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut content = Zeroizing::new(Vec::with_capacity(4096));
    for integer in integers {
        let integer = without_zeros(integer);
        // A zero byte is added if the first bit is set, which would make the number negative, or if
        // there is no byte, which would be no number.
        let padded = integer.first().is_none_or(|first| first & 0x80 != 0);
        head(&mut content, INTEGER, integer.len() + usize::from(padded));
        content.extend(padded.then_some(0));
        content.extend_from_slice(integer);
    }
    let mut der = Zeroizing::new(Vec::with_capacity(content.len() + 5));
    head(&mut der, SEQUENCE, content.len());
    der.extend_from_slice(&content);
    der
}

fn head(der: &mut Vec<u8>, tag: u8, length: usize) {
    der.push(tag);
    let bytes = length.to_be_bytes();
    let digits = without_zeros(&bytes);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => der.push(short),
        _ => {
            der.push(0x80 | u8::try_from(digits.len()).unwrap_or(0));
            der.extend_from_slice(digits);
        }
    }
}

/// Writes a private Ed25519 key in PKCS #8 (RFC 8410 §7).
pub(super) fn ed25519_pkcs8(seed: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    const PREFIX: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    Zeroizing::new([PREFIX, seed].concat())
}

/// Writes a private P-256 key in PKCS #8 (RFC 5915, RFC 5958).
pub(super) fn p256_pkcs8(d: &[u8; 32], x: &[u8; 32], y: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    const PREFIX: &[u8] = b"\x30\x81\x87\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\
        \xce\x3d\x03\x01\x07\x04\x6d\x30\x6b\x02\x01\x01\x04\x20";
    const PUBLIC: &[u8] = b"\xa1\x44\x03\x42\x00\x04";
    Zeroizing::new([PREFIX, d, PUBLIC, x, y].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_they_were_written() {
        let long = vec![0xff; 300];
        let der = sequence(&[&[], &[1], &[0x80], &long]);
        assert_eq!(integers(&der).unwrap(), [&[] as &[u8], &[1], &[0x80], &long]);
        assert_eq!(der[..3], [SEQUENCE, 0x82, 1]);
    }

    #[test]
    fn other_bytes_are_no_sequence_and_no_panic() {
        for bytes in [&b""[..], b"\x30", b"\x30\x05\x02", b"\x30\x84\xff\xff\xff\xff", b"\x30\x89\x01", b"\x02\x01\x01"]
        {
            assert_eq!(integers(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_length_in_bits_has_no_leading_zeros() {
        assert_eq!([bits(&[]), bits(&[0]), bits(&[0, 1]), bits(&[0x80, 0])], [0, 0, 1, 16]);
    }
}
