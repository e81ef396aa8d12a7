//! The addresses in a header field, all of them or none: RFC 5322 §3.4, with the obsolete forms of §4.4
//! and the characters of RFC 6532.
//!
//! Lenient parsers skip entries that they do not understand. Here that would be a recipient who never gets the mail.

mod grammar;
#[cfg(test)]
mod tests;

use std::mem;

use starttls::mail::Address;

use crate::international;

/// The content of a field.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// `local@domain`, in the form of an envelope.
    pub(crate) usable: Vec<String>,
    /// Entries that are not addresses, and the reasons.
    pub(crate) unusable: Vec<Unusable>,
    /// Whether an address contains characters outside ASCII, in the local part or the domain.
    pub(crate) international: bool,
}

/// An entry that cannot be used as an address.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) text: String,
    pub(crate) why: String,
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.text, self.why)
    }
}

impl Addresses {
    /// Parses an `address-list` from the unfolded text of a field.
    ///
    /// An empty element between commas is allowed, and the semicolon of the last group may be missing.
    pub(crate) fn read(field: &str) -> Self {
        let mut found = Self::default();
        let mut in_group = false;
        for (text, end) in elements(field) {
            match end {
                Some(':') if in_group => found.refuse(text, "is a group in a group"),
                Some(':') if !grammar::is_display_name(text) => {
                    found.refuse(text, "is not a group name");
                }
                Some(':') => in_group = true,
                Some(';') if !in_group => {
                    found.refuse(text, "ends with a semicolon outside a group")
                }
                _ => {
                    in_group &= end != Some(';');
                    found.note(text);
                }
            }
        }
        found
    }

    /// Parses one element of the list, which may be empty (RFC 5322 §4.4).
    fn note(&mut self, text: &str) {
        if grammar::is_blank(text) {
            return;
        }
        match grammar::mailbox(text).and_then(|address| {
            self.international |= !address.is_ascii();
            let address = international::address(&address)?;
            match Address::international(&address) {
                Ok(_) if address.contains(char::REPLACEMENT_CHARACTER) => {
                    Err("is not UTF-8".to_owned())
                }
                Ok(_) => Ok(address),
                Err(why) => Err(why.to_string()),
            }
        }) {
            Ok(address) => self.usable.push(address),
            Err(why) => self.refuse(text, &why),
        }
    }

    fn refuse(&mut self, text: &str, why: &str) {
        let (text, why) = (text.trim().to_owned(), why.to_owned());
        self.unusable.push(Unusable { text, why });
    }
}

/// Splits a list at its separating commas, colons and semicolons, and returns each separator. Those in quotes,
/// comments, angle brackets and address literals do not separate.
fn elements(list: &str) -> Vec<(&str, Option<char>)> {
    let mut elements = Vec::new();
    let (mut start, mut escaped, mut quoted) = (0, false, false);
    let (mut comments, mut angle, mut literal) = (0_usize, false, false);
    for (at, c) in list.char_indices() {
        if mem::take(&mut escaped) {
            continue;
        }
        match c {
            '\\' if quoted || literal || comments > 0 => escaped = true,
            '"' if comments == 0 && !literal => quoted = !quoted,
            _ if quoted => {}
            '(' if !literal => comments += 1,
            ')' if comments > 0 => comments -= 1,
            _ if comments > 0 => {}
            '[' => literal = true,
            ']' => literal = false,
            _ if literal => {}
            '<' => angle = true,
            '>' => angle = false,
            ',' | ':' | ';' if !angle => {
                elements.push((&list[start..at], Some(c)));
                start = at + 1;
            }
            _ => {}
        }
    }
    elements.push((&list[start..], None));
    elements
}
