//! Charsets by their IANA meaning (RFC 2978), not by what browsers make of the labels: iso-8859-1 has no euro sign.

use encoding_rs::Encoding;

/// A charset that texts are edited in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charset {
    Ascii,
    Utf8,
    Latin1,
    /// What encoding_rs writes, as far as the label's own repertoire goes.
    Of(&'static Encoding, Repertoire),
}

/// Which octets of a wider encoding belong to the charset that the label names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repertoire {
    /// All.
    Whole,
    /// None from 0x80 to 0x9F: windows-1254 without what iso-8859-9 has not.
    WithoutC1,
    /// Two octets from 0xA1 on for each character beyond ASCII: GB 2312 in GBK, KS X 1001 in UHC.
    Rows,
    /// JIS X 0208 in the Shift_JIS of Windows, without the characters that the two map differently.
    Jis,
}

impl Charset {
    /// The charset that a label names; `None` where texts in it are not edited.
    pub(crate) fn named(label: &str) -> Option<Self> {
        use Repertoire::{Jis, Rows, Whole, WithoutC1};
        let label = label.to_ascii_lowercase();
        Some(match label.as_str() {
            "us-ascii" | "ascii" | "ansi_x3.4-1968" | "ansi_x3.4-1986" | "iso646-us" | "us"
            | "csascii" => Self::Ascii,
            "utf-8" | "utf8" | "csutf8" => Self::Utf8,
            "iso-8859-1" | "iso_8859-1" | "iso8859-1" | "latin1" | "l1" | "cp819" | "ibm819"
            | "csisolatin1" | "iso-ir-100" => Self::Latin1,
            "iso-8859-9" | "iso_8859-9" | "iso8859-9" | "latin5" | "l5" | "csisolatin5" => {
                Self::Of(encoding_rs::WINDOWS_1254, WithoutC1)
            }
            "iso-8859-11" | "tis-620" => Self::Of(encoding_rs::WINDOWS_874, WithoutC1),
            "gb2312" | "csgb2312" | "euc-cn" => Self::Of(encoding_rs::GBK, Rows),
            "euc-kr" | "cseuckr" | "ks_c_5601-1987" => Self::Of(encoding_rs::EUC_KR, Rows),
            "shift_jis" | "shift-jis" | "ms_kanji" | "csshiftjis" => {
                Self::Of(encoding_rs::SHIFT_JIS, Jis)
            }
            "windows-31j" | "cswindows31j" => Self::Of(encoding_rs::SHIFT_JIS, Whole),
            "iso-8859-2" | "iso-8859-3" | "iso-8859-4" | "iso-8859-5" | "iso-8859-6"
            | "iso-8859-7" | "iso-8859-8" | "iso-8859-8-i" | "iso-8859-10" | "iso-8859-13"
            | "iso-8859-14" | "iso-8859-15" | "iso-8859-16" | "latin2" | "latin9"
            | "windows-874" | "windows-1250" | "windows-1251" | "windows-1252" | "windows-1253"
            | "windows-1254" | "windows-1255" | "windows-1256" | "windows-1257"
            | "windows-1258" | "cp1250" | "cp1251" | "cp1252" | "koi8-r" | "koi8-u" | "ibm866"
            | "cp866" | "gbk" | "gb18030" | "big5" | "euc-jp" | "iso-2022-jp" => {
                let label = if label == "latin9" {
                    "iso-8859-15"
                } else {
                    label.as_str()
                };
                Self::Of(Encoding::for_label(label.as_bytes())?, Whole)
            }
            _ => return None,
        })
    }

    /// The text that `octets` are, if they keep to this charset.
    pub(crate) fn decode(self, octets: &[u8]) -> Option<String> {
        match self {
            Self::Ascii if !octets.is_ascii() => None,
            Self::Ascii | Self::Utf8 => std::str::from_utf8(octets).ok().map(str::to_owned),
            Self::Latin1 => Some(octets.iter().copied().map(char::from).collect()),
            Self::Of(encoding, repertoire) => {
                let text = encoding
                    .decode_without_bom_handling_and_without_replacement(octets)?
                    .into_owned();
                // Where a label is narrower than what is decoded by, text beyond it is told by writing it again.
                let is_own = match repertoire {
                    Repertoire::Whole => true,
                    Repertoire::WithoutC1 | Repertoire::Rows | Repertoire::Jis => {
                        repertoire.holds(octets)
                    }
                };
                is_own.then_some(text)
            }
        }
    }

    /// `text` in this charset, if it has all of its characters and readers agree on them.
    pub(crate) fn encode(self, text: &str) -> Option<Vec<u8>> {
        let octets = match self {
            Self::Ascii => text.is_ascii().then(|| text.as_bytes().to_vec())?,
            Self::Utf8 => return Some(text.as_bytes().to_vec()),
            Self::Latin1 => text
                .chars()
                .map(|c| u8::try_from(u32::from(c)).ok())
                .collect::<Option<Vec<u8>>>()?,
            Self::Of(encoding, repertoire) => {
                let (octets, _, unmappable) = encoding.encode(text);
                (!unmappable && repertoire.takes(text) && repertoire.holds(&octets))
                    .then(|| octets.into_owned())?
            }
        };
        (!has_controls(text) && self.decode(&octets).as_deref() == Some(text)).then_some(octets)
    }

    /// Whether `octets` are UTF-8 beyond ASCII under the label of a charset of single octets. Such a text is UTF-8 by
    /// mistake, nearly always: two letters that happen to be one character of UTF-8 make no word.
    pub(crate) fn is_mistaken_for_utf8(self, octets: &[u8]) -> bool {
        let is_of_single_octets = match self {
            Self::Ascii | Self::Utf8 => false,
            Self::Latin1 => true,
            Self::Of(encoding, _) => encoding.is_single_byte(),
        };
        is_of_single_octets && !octets.is_ascii() && std::str::from_utf8(octets).is_ok()
    }

    /// How many of `octets` stand for the first `at` octets of `text`, which is what they decode to.
    pub(crate) fn octets_before(self, octets: &[u8], text: &str, at: usize) -> Option<usize> {
        let before = text.get(..at)?;
        match self {
            Self::Ascii | Self::Utf8 => Some(at),
            Self::Latin1 => Some(before.chars().count()),
            Self::Of(encoding, _) if encoding.is_single_byte() => Some(before.chars().count()),
            Self::Of(encoding, _) => {
                if at == text.len() {
                    return Some(octets.len());
                }
                let (written, _, unmappable) = encoding.encode(before);
                (!unmappable && octets.starts_with(&written)).then_some(written.len())
            }
        }
    }
}

/// Controls from U+0080 to U+009F: under a label of ISO they are windows-125x by mistake, nearly always.
pub(crate) fn has_controls(text: &str) -> bool {
    text.chars().any(|c| ('\u{80}'..='\u{9f}').contains(&c))
}

impl Repertoire {
    fn takes(self, text: &str) -> bool {
        match self {
            Self::Whole | Self::WithoutC1 => true,
            // GB 2312 and KS X 1001 have other characters at these places than GBK and UHC.
            Self::Rows => !text.contains([
                '\u{b7}', '\u{2014}', '\u{2015}', '\u{30fb}', '\u{20ac}', '\u{ae}',
            ]),
            Self::Jis => !text.contains([
                '\\', '~', '\u{a5}', '\u{203e}', '\u{ff3c}', '\u{ff5e}', '\u{2225}', '\u{ff0d}',
                '\u{2015}', '\u{ffe0}', '\u{ffe1}', '\u{ffe2}',
            ]),
        }
    }

    fn holds(self, octets: &[u8]) -> bool {
        match self {
            Self::Whole => true,
            Self::WithoutC1 => !octets.iter().any(|octet| (0x80..=0x9f).contains(octet)),
            Self::Rows => octets
                .chunk_by(|a, b| a.is_ascii() == b.is_ascii())
                .filter(|run| !run.is_ascii())
                .all(|run| {
                    run.len().is_multiple_of(2)
                        && run.iter().all(|octet| (0xa1..=0xfe).contains(octet))
                }),
            Self::Jis => {
                let mut rest = octets.iter();
                while let Some(lead) = rest.next() {
                    match lead {
                        0x81..=0x9f | 0xe0..=0xfc => {
                            // NEC's and IBM's own rows.
                            if matches!(lead, 0x85..=0x88 | 0xeb..=0xfc) {
                                return false;
                            }
                            rest.next();
                        }
                        _ => {}
                    }
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn encoded(label: &str, text: &str) -> Option<Vec<u8>> {
        Charset::named(label).unwrap().encode(text)
    }

    #[test]
    fn iso_8859_1_is_not_windows_1252() {
        assert_eq!(encoded("ISO-8859-1", "ü"), Some(vec![0xfc]));
        assert_eq!(encoded("iso-8859-1", "€"), None);
        assert_eq!(encoded("iso-8859-1", "„"), None);
        assert_eq!(encoded("iso-8859-1", "\u{80}"), None);
        assert_eq!(encoded("windows-1252", "€"), Some(vec![0x80]));
        assert_eq!(encoded("us-ascii", "ü"), None);
        assert_eq!(Charset::named("us-ascii").unwrap().decode(b"\xfc"), None);
    }

    #[test]
    fn labels_mean_what_is_registered() {
        assert_eq!(encoded("iso-8859-9", "ş"), Some(vec![0xfe]));
        assert_eq!(encoded("iso-8859-9", "€"), None);
        assert_eq!(encoded("iso-8859-15", "€"), Some(vec![0xa4]));
        assert_eq!(encoded("latin9", "€"), Some(vec![0xa4]));
        assert_eq!(encoded("tis-620", "€"), None);
        assert_eq!(encoded("gb2312", "中"), Some(vec![0xd6, 0xd0]));
        assert_eq!(encoded("gb2312", "㐀"), None);
        assert_eq!(encoded("gbk", "丂"), Some(vec![0x81, 0x40]));
        assert_eq!(encoded("gb2312", "丂"), None);
        assert_eq!(encoded("euc-kr", "가"), Some(vec![0xb0, 0xa1]));
        assert_eq!(encoded("euc-kr", "갂"), None);
        assert_eq!(encoded("shift_jis", "こ"), Some(vec![0x82, 0xb1]));
        assert_eq!(encoded("shift_jis", "①"), None);
        assert_eq!(encoded("windows-31j", "①"), Some(vec![0x87, 0x40]));
        for unknown in [
            "utf-16",
            "utf-7",
            "x-unknown",
            "iso-2022-kr",
            "hz-gb-2312",
            "",
            "utf-16le",
        ] {
            assert_eq!(Charset::named(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn places_are_found_in_shift_states() {
        let charset = Charset::named("iso-2022-jp").unwrap();
        let text = "秘密<b>秘</b>";
        let octets = charset.encode(text).unwrap();
        let at = text.find("<b>").unwrap();
        let found = charset.octets_before(&octets, text, at).unwrap();
        assert_eq!(&octets[found..found + 3], b"<b>");
    }
}
