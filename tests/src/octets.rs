//! Bytes in the notation of the tables.

use serde::{Deserialize, Deserializer, de};

/// Bytes: a string, or an array of strings, `{ hex = "…" }` and `{ repeat = "…", times = n }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Octets(pub Vec<u8>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    One(String),
    Many(Vec<Part>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Text(String),
    Hex(Hex),
    Repeat(Repeat),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hex {
    hex: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    repeat: String,
    times: usize,
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut octets = Vec::new();
        match Form::deserialize(deserializer)? {
            Form::One(text) => octets = text.into_bytes(),
            Form::Many(parts) => {
                for part in parts {
                    match part {
                        Part::Text(text) => octets.extend(text.bytes()),
                        Part::Hex(Hex { hex }) => octets.extend(
                            unhex(&hex).ok_or_else(|| de::Error::custom(format!("hex: {hex}")))?,
                        ),
                        Part::Repeat(Repeat { repeat, times }) => {
                            octets.extend(repeat.repeat(times).bytes());
                        }
                    }
                }
            }
        }
        Ok(Self(octets))
    }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<char> = digits.chars().filter(|digit| !digit.is_whitespace()).collect();
    let octet = |pair: &[char]| match pair {
        [high, low] => u8::try_from(high.to_digit(16)? << 4 | low.to_digit(16)?).ok(),
        _ => None,
    };
    digits.chunks(2).map(octet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Of {
        x: Octets,
    }

    #[test]
    fn every_form() {
        for (text, octets) in [
            (r#"x = "a\r\n""#, Some(&b"a\r\n"[..])),
            (r#"x = ["a", { hex = "00 fF" }, { repeat = "bc", times = 2 }]"#, Some(b"a\0\xffbcbc")),
            ("x = []", Some(b"")),
            (r#"x = [{ hex = "0" }]"#, None),
            (r#"x = [{ hex = "0g" }]"#, None),
            (r#"x = [{ hex = "00", times = 2 }]"#, None),
            ("x = 1", None),
        ] {
            let read = toml::from_str::<Of>(text).ok().map(|of| of.x.0);
            assert_eq!(read.as_deref(), octets, "{text}");
        }
    }
}
