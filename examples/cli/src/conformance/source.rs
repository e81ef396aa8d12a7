//! The sources of cases: standards and published vulnerabilities.

/// The source as a standard quotes it: `rfc3207/4.2` is RFC 3207 §4.2.
pub(super) fn citation(clause: &str) -> String {
    let (name, section) = clause.split_once('/').unwrap_or((clause, ""));
    if let Some(number) = rfc(name) {
        return match section {
            "" => format!("RFC {number}"),
            section => format!("RFC {number} §{section}"),
        };
    }
    match name {
        "class" => format!("class of attacks: {section}"),
        name if name.starts_with("cve-") => clause.to_uppercase(),
        _ => clause.to_owned(),
    }
}

/// The address of the source, if it has one.
pub(super) fn address(clause: &str) -> Option<String> {
    let (name, section) = clause.split_once('/').unwrap_or((clause, ""));
    if let Some(number) = rfc(name) {
        let numbers = section.starts_with(|c: char| c.is_ascii_digit());
        let anchor = if numbers { format!("#section-{section}") } else { String::new() };
        return Some(format!("https://www.rfc-editor.org/rfc/rfc{number}{anchor}"));
    }
    let vulnerability = name.starts_with("cve-") && section.is_empty();
    vulnerability.then(|| format!("https://nvd.nist.gov/vuln/detail/{}", name.to_uppercase()))
}

/// The number of an RFC.
fn rfc(name: &str) -> Option<u32> {
    name.strip_prefix("rfc").and_then(|number| number.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        for (clause, cited, found) in [
            ("rfc3207/4.2", "RFC 3207 §4.2", "https://www.rfc-editor.org/rfc/rfc3207#section-4.2"),
            ("rfc8314", "RFC 8314", "https://www.rfc-editor.org/rfc/rfc8314"),
            ("cve-2011-0411", "CVE-2011-0411", "https://nvd.nist.gov/vuln/detail/CVE-2011-0411"),
            ("class/injection", "class of attacks: injection", ""),
            ("ms-tds/2.2.6.5", "ms-tds/2.2.6.5", ""),
        ] {
            assert_eq!(citation(clause), cited);
            assert_eq!(address(clause).unwrap_or_default(), found, "{clause}");
        }
    }
}
