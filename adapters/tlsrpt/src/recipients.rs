use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use starttls::mail::Address;
use url::Url;

/// The recipients of a domain's reports, from the TXT record at `_smtp._tls.` and the domain (RFC 8460 §3).
///
/// ```
/// use starttls_tlsrpt::Recipients;
///
/// let recipients = Recipients::read(["v=TLSRPTv1; rua=mailto:tls@example.org"]).unwrap();
/// assert_eq!(recipients.addresses().next().as_deref(), Some("tls@example.org"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients(Vec<Url>);

impl Recipients {
    /// Parses the TXT records, each with its strings joined. `None` if the domain requests no reports.
    ///
    /// ```abnf
    /// tlsrpt-record = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
    /// tlsrpt-rua    = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
    /// ```
    #[must_use]
    pub fn read<'r>(records: impl IntoIterator<Item = &'r str>) -> Option<Self> {
        let ours = records.into_iter().filter_map(|record| {
            let fields = record.strip_prefix("v=TLSRPTv1")?.trim_start();
            fields.strip_prefix(';')
        });
        let mut ours = ours;
        let (fields, None) = (ours.next()?, ours.next()) else { return None };
        let fields = fields.trim().trim_end_matches(';').split(';').map(str::trim);
        let mut recipients = None;
        for field in fields {
            let (name, value) = field.split_once('=')?;
            if name == "rua" && recipients.is_none() {
                let uris = value.split(',').filter_map(|uri| Url::parse(uri.trim()).ok());
                recipients = Some(Self(uris.collect()));
            }
        }
        recipients.filter(|recipients| recipients.0.iter().any(is_known))
    }

    /// The addresses to mail reports to, without invalid ones. `!`, `,` and `;` are decoded.
    pub fn addresses(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.iter().filter_map(address)
    }

    /// The URLs to post reports to, as `application/tlsrpt+gzip` (RFC 8460 §5.4).
    pub fn endpoints(&self) -> impl Iterator<Item = &Url> {
        self.0.iter().filter(|uri| uri.scheme() == "https")
    }
}

fn is_known(uri: &Url) -> bool {
    uri.scheme() == "https" || address(uri).is_some()
}

fn address(uri: &Url) -> Option<Cow<'_, str>> {
    let address = percent_decode_str(uri.path()).decode_utf8().ok()?;
    let is_address = uri.scheme() == "mailto" && Address::international(&address).is_ok();
    is_address.then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let rows: [(&[&str], Option<&[&str]>); 19] = [
            (&["v=TLSRPTv1;rua=mailto:reports@example.com"], Some(&["reports@example.com"])),
            (
                &["v=TLSRPTv1; rua=mailto:a@example.com , https://r.example/v1 ; "],
                Some(&["a@example.com", "https://r.example/v1"]),
            ),
            (&["v=TLSRPTv1;x=y;rua=mailto:a%21b@c;rua=mailto:d@e"], Some(&["a!b@c"])),
            (&["v=spf1", "v=TLSRPTv1;rua=mailto:a@b", "v=TLSRPTv2;"], Some(&["a@b"])),
            (&["v=TLSRPTv1;rua=ftp://x/,mailto:a@b"], Some(&["a@b"])),
            (&[], None),
            (&["v=TLSRPTv1;rua=mailto:a@b", "v=TLSRPTv1;rua=mailto:a@b"], None),
            (&["v=TLSRPTv1"], None),
            (&["v=TLSRPTv1;"], None),
            (&["v=TLSRPTv1;x=y"], None),
            (&["v=TLSRPTv1;rua=ftp://x/"], None),
            (&["v=TLSRPTv1;rua=reports@example.com"], None),
            (&["v=TLSRPTv1;rua"], None),
            (&["V=TLSRPTv1;rua=mailto:a@b"], None),
            // Exactly one address and nothing else may get into the mail's header field.
            (&["v=TLSRPTv1;rua=mailto:a@b%0D%0ABcc:%20c@d"], None),
            (&["v=TLSRPTv1;rua=mailto:a@b%2Cc@d"], None),
            (&["v=TLSRPTv1;rua=mailto:a@b%3E,mailto:c@d"], Some(&["c@d"])),
            (&["v=TLSRPTv1;rua=mailto:"], None),
            (&["v=TLSRPTv1;rua=mailto:a@b?subject=c"], Some(&["a@b"])),
        ];
        for (records, expected) in rows {
            let recipients = Recipients::read(records.iter().copied());
            let seen = recipients.as_ref().map(|recipients| {
                let endpoints = recipients.endpoints().map(|uri| uri.as_str().into());
                recipients.addresses().chain(endpoints).collect::<Vec<Cow<'_, str>>>()
            });
            let expected = expected.map(|uris| uris.iter().map(|uri| Cow::from(*uri)).collect());
            assert_eq!(seen, expected, "{records:?}");
        }
    }
}
