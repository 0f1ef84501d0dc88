//! What tests need to read of MIME.

/// The octets of base64; white space between the letters does not count.
///
/// # Panics
/// At a letter that base64 has not.
pub fn from_base64(encoded: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut octets = Vec::new();
    let (mut bits, mut held) = (0u32, 0);
    let letters = encoded.bytes().filter(|b| !b.is_ascii_whitespace());
    for letter in letters.take_while(|b| *b != b'=') {
        let value = (0..).zip(LETTERS).find(|(_, l)| **l == letter);
        let (value, _) = value.unwrap_or_else(|| panic!("not base64: {encoded}"));
        bits = bits << 6 | value;
        held += 6;
        if held >= 8 {
            held -= 8;
            octets.push((bits >> held & 0xff) as u8);
        }
    }
    octets
}
