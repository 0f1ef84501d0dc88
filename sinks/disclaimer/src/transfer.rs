//! Content transfer encodings (RFC 2045, 6).

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use quoted_printable::{InputMode, Options, ParseMode};

/// How the octets of a part are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// 7bit, or nothing said.
    SevenBit,
    /// 8bit or binary.
    EightBit,
    QuotedPrintable,
    Base64,
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Transfer {
    /// The encoding that the field names; `None` when it is unknown.
    pub(crate) fn of(field: Option<&str>) -> Option<Self> {
        match field.map(|f| f.trim().to_ascii_lowercase()).as_deref() {
            None | Some("" | "7bit") => Some(Self::SevenBit),
            Some("8bit" | "binary") => Some(Self::EightBit),
            Some("quoted-printable") => Some(Self::QuotedPrintable),
            Some("base64") => Some(Self::Base64),
            Some(_) => None,
        }
    }

    /// The name for the field.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SevenBit => "7bit",
            Self::EightBit => "8bit",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
        }
    }

    /// The octets that `raw` stands for.
    pub(crate) fn decode(self, raw: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::SevenBit | Self::EightBit => Some(raw.to_vec()),
            Self::QuotedPrintable => quoted_printable::decode(raw, ParseMode::Robust).ok(),
            Self::Base64 => {
                let letters: Vec<u8> = raw
                    .iter()
                    .copied()
                    .filter(|b| !b.is_ascii_whitespace())
                    .collect();
                LENIENT.decode(letters).ok()
            }
        }
    }

    /// Text in lines with CRLF, as this encoding writes it.
    pub(crate) fn encode(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::SevenBit | Self::EightBit => text.to_vec(),
            Self::QuotedPrintable => quoted_printable::encode_with_options(
                text,
                Options::default().input_mode(InputMode::Text),
            )
            .into_bytes(),
            Self::Base64 => {
                let letters = LENIENT.encode(text);
                let mut out = Vec::with_capacity(letters.len() + letters.len() / 38 + 2);
                for line in letters.as_bytes().chunks(76) {
                    out.extend_from_slice(line);
                    out.extend_from_slice(b"\r\n");
                }
                out
            }
        }
    }
}
