use super::{is_name, trim_end, trim_start};

/// What names a version of a policy: 1 to 32 letters and digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    /// With zeros behind it.
    octets: [u8; 32],
}

impl Id {
    /// Checks an id, as a cache gives it back.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        Self::read(id.as_bytes())
    }

    fn read(id: &[u8]) -> Option<Self> {
        (matches!(id.len(), 1..=32) && id.iter().all(u8::is_ascii_alphanumeric)).then(|| {
            let mut octets = [0; 32];
            for (place, octet) in octets.iter_mut().zip(id) {
                *place = *octet;
            }
            Self { octets }
        })
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let id = self.octets.split(|octet| *octet == 0).next();
        core::str::from_utf8(id.unwrap_or_default()).unwrap_or_default()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Id {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_str());
    }
}

/// The id in the TXT records at `_mta-sts.` and the domain, the strings of each put together; `None`
/// where they announce no policy.
///
/// ```abnf
/// sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
/// sts-field       = sts-id / sts-extension
/// sts-field-delim = *WSP ";" *WSP
/// sts-version     = %s"v=STSv1"
/// sts-id          = %s"id=" 1*32(ALPHA / DIGIT)
/// ```
#[must_use]
pub fn announced(records: &[&[u8]]) -> Option<Id> {
    let mut ours = records.iter().filter_map(|record| record.strip_prefix(b"v=STSv1"));
    let mut ours = ours.by_ref().filter(|fields| fields.trim_ascii_start().starts_with(b";"));
    let (fields, None) = (ours.next()?, ours.next()) else { return None };
    let mut id = None;
    let mut rest = fields;
    while let [b';', field @ ..] = trim_start(rest) {
        let field = trim_start(field);
        let end = field.iter().position(|octet| *octet == b';').unwrap_or(field.len());
        let (field, behind) = field.split_at_checked(end)?;
        let field = trim_end(field);
        match (field, field.strip_prefix(b"id=")) {
            ([], _) if behind.is_empty() => {}
            (_, Some(value)) if id.is_none() => id = Some(Id::read(value)?),
            _ if is_extension(field) => {}
            _ => return None,
        }
        rest = behind;
    }
    if trim_start(rest).is_empty() { id } else { None }
}

/// `sts-ext-name "=" sts-ext-value`; the value has no `=`.
fn is_extension(field: &[u8]) -> bool {
    let Some(equals) = field.iter().position(|octet| *octet == b'=') else { return false };
    let (name, value) = field.split_at_checked(equals).unwrap_or_default();
    let Some((b'=', value)) = value.split_first() else { return false };
    let is_value = |octet: &u8| octet.is_ascii_graphic() && *octet != b'=';
    is_name(name) && !value.is_empty() && value.iter().all(is_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_announce() {
        let rows: [(&[&str], Option<&str>); 32] = [
            (&["v=STSv1; id=20160831085700Z;"], Some("20160831085700Z")),
            (&["v=STSv1;id=1"], Some("1")),
            (&["v=STSv1 \t; \tid=1\t ; "], Some("1")),
            (&["v=STSv1; a-b_c.d=x:y!; id=1"], Some("1")),
            (&["v=STSv1; id=1; id=2"], Some("1")),
            (&["v=STSv1; id=1; id=a-b"], Some("1")),
            (&["v=STSv1; id=a-b; id=1"], None),
            (&["v=STSv1; id=1; id="], None),
            (&["v=STSv1; id=1; x="], None),
            (&["v=STSv1; id=1; x=y=z"], None),
            (&["v=spf1 -all", "v=STSv1; id=1", "v=STSv2; id=3"], Some("1")),
            (
                &["v=STSv1; id=12345678901234567890123456789012"],
                Some("12345678901234567890123456789012"),
            ),
            (&[], None),
            (&["v=STSv1; id=1", "v=STSv1; id=1"], None),
            (&["v=STSv1; id=123456789012345678901234567890123"], None),
            (&["v=STSv1"], None),
            (&["v=STSv1;"], None),
            (&["v=STSv1; x=1"], None),
            (&["v=STSv1; id="], None),
            (&["v=STSv1; id=a-b"], None),
            (&["v=STSv1; ID=1"], None),
            (&["V=STSv1; id=1"], None),
            (&["v=stsv1; id=1"], None),
            (&["v=STSv12; id=1"], None),
            (&[" v=STSv1; id=1"], None),
            (&["id=1; v=STSv1"], None),
            (&["v=STSv1; id=1; x"], None),
            (&["v=STSv1; id=1; -x=1"], None),
            (&["v=STSv1; id=1; x=a b"], None),
            (&["v=STSv1; id=1; x=\u{e4}"], None),
            (&["v=STSv1; id=1;; x=1"], None),
            (&["v=STSv1 id=1"], None),
        ];
        for (records, expected) in rows {
            let octets: heapless::Vec<&[u8], 4> =
                records.iter().map(|record| record.as_bytes()).collect();
            let id = announced(&octets);
            assert_eq!(id.as_ref().map(Id::as_str), expected, "{records:?}");
        }
    }
}
