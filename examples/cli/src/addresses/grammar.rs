//! One element of an address list: RFC 5322 §3.2.2 to §3.2.5 and §3.4, with what §4.4 adds.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{anychar, char, none_of, one_of};
use nom::combinator::{all_consuming, map, opt, recognize, value, verify};
use nom::multi::{fold_many0, many0_count, many1_count, separated_list1};
use nom::sequence::{delimited, pair, preceded, separated_pair, terminated};
use nom::{IResult, Parser};

/// The address of `mailbox = name-addr / addr-spec`, or the reason why it has none.
pub(super) fn mailbox(element: &str) -> Result<String, String> {
    let why = match all_consuming(alt((name_addr, repeated, addr_spec))).parse(element) {
        Ok((_, address)) => return Ok(address),
        Err(_) if all_consuming(encoded).parse(element).is_ok() => {
            "is an encoded word, not an address (RFC 2047 §5)"
        }
        Err(_) if all_consuming(local_part).parse(element).is_ok() => "has no domain",
        Err(_) => "is not an address (RFC 5322 §3.4)",
    };
    Err(why.to_owned())
}

pub(super) fn is_display_name(text: &str) -> bool {
    all_consuming(phrase).parse(text).is_ok()
}

pub(super) fn is_blank(text: &str) -> bool {
    all_consuming(cfws).parse(text).is_ok()
}

/// `name-addr = [display-name] angle-addr`.
fn name_addr(input: &str) -> IResult<&str, String> {
    preceded(opt(phrase), angle_addr).parse(input)
}

/// Programs put the address in the place of a name, without the required quotes. If it differs from that in the
/// brackets, the element is refused.
fn repeated(input: &str) -> IResult<&str, String> {
    let same = |(name, address): &(String, String)| name == address;
    map(verify(pair(addr_spec, angle_addr), same), |(_, address)| address).parse(input)
}

/// `angle-addr = [CFWS] "<" [obs-route] addr-spec ">" [CFWS]`; the route is ignored (RFC 5321 §C).
fn angle_addr(input: &str) -> IResult<&str, String> {
    let inner = preceded(opt(route), addr_spec);
    delimited((cfws, char('<')), inner, (char('>'), cfws)).parse(input)
}

/// `obs-route = *(CFWS / ",") "@" domain *("," [CFWS] ["@" domain]) ":"`.
fn route(input: &str) -> IResult<&str, ()> {
    let commas = |input| value((), many0_count((cfws, char(',')))).parse(input);
    let hop = (cfws, char('@'), domain);
    let hops = many1_count((commas, hop));
    value((), (hops, commas, cfws, char(':'))).parse(input)
}

/// `addr-spec = local-part "@" domain`, in the form of RFC 5321 §4.1.2: nothing between its parts, and quotes only where
/// they are needed.
fn addr_spec(input: &str) -> IResult<&str, String> {
    let is_plain = |(local, _): &(Local, String)| !local.has_encoded_word;
    let address = verify(separated_pair(local_part, char('@'), domain), is_plain);
    map(address, |(local, domain)| format!("{}@{domain}", local.quoted())).parse(input)
}

/// The local part, without the quotes of its words.
struct Local {
    text: String,
    has_encoded_word: bool,
}

impl Local {
    /// `Dot-string / Quoted-string`: the same mailbox with the least quoting (RFC 5321 §4.1.2).
    fn quoted(&self) -> String {
        if self.text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext)) {
            return self.text.clone();
        }
        format!("\"{}\"", self.text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// `local-part = dot-atom / quoted-string / obs-local-part`, where the last form includes the others.
fn local_part(input: &str) -> IResult<&str, Local> {
    let plain = map(atom, |atom| (atom.to_owned(), encoded(atom).is_ok()));
    let quoted = map(quoted_string, |text| (text, false));
    map(separated_list1(char('.'), alt((plain, quoted))), |words| Local {
        has_encoded_word: words.iter().any(|(_, encoded)| *encoded),
        text: words.into_iter().map(|(text, _)| text).collect::<Vec<_>>().join("."),
    })
    .parse(input)
}

/// `domain = dot-atom / domain-literal / obs-domain`; white space in a literal is ignored.
fn domain(input: &str) -> IResult<&str, String> {
    let name = map(separated_list1(char('.'), atom), |atoms| atoms.join("."));
    let dtext = take_while(|c| !matches!(c, '[' | ']' | '\\') && (c == '\t' || !c.is_control()));
    let literal = map(delimited(char('['), dtext, char(']')), |text: &str| {
        format!("[{}]", text.replace([' ', '\t'], ""))
    });
    alt((name, delimited(cfws, literal, cfws))).parse(input)
}

/// `phrase = 1*word / obs-phrase`, which may contain dots.
fn phrase(input: &str) -> IResult<&str, ()> {
    let word = || alt((value((), atom), value((), quoted_string)));
    value((), (word(), many0_count(alt((word(), value((), terminated(char('.'), cfws)))))))
        .parse(input)
}

/// `atom = [CFWS] 1*atext [CFWS]`.
fn atom(input: &str) -> IResult<&str, &str> {
    delimited(cfws, take_while1(is_atext), cfws).parse(input)
}

/// `quoted-string`, without its quotes.
fn quoted_string(input: &str) -> IResult<&str, String> {
    let octet = alt((preceded(char('\\'), anychar), none_of("\"\\")));
    let visible = verify(octet, |c: &char| *c == '\t' || !c.is_control());
    let content = fold_many0(visible, String::new, |mut text, c| {
        text.push(c);
        text
    });
    delimited((cfws, char('"')), content, (char('"'), cfws)).parse(input)
}

/// `encoded-word = "=?" charset "?" encoding "?" encoded-text "?="` (RFC 2047 §2), between spaces.
fn encoded(input: &str) -> IResult<&str, &str> {
    let token = || take_while1(|c: char| c.is_ascii_graphic() && c != '?');
    let word = (tag("=?"), token(), char('?'), one_of("bBqQ"), char('?'), token(), tag("?="));
    delimited(cfws, recognize(word), cfws).parse(input)
}

/// `[CFWS]`: white space and nested comments.
fn cfws(input: &str) -> IResult<&str, ()> {
    let blank = value((), one_of(" \t"));
    value((), many0_count(alt((blank, comment)))).parse(input)
}

/// `comment`. It counts instead of recursing, because a field may have more parentheses than fit on the stack.
fn comment(input: &str) -> IResult<&str, ()> {
    let (start, _) = char('(').parse(input)?;
    let (mut rest, mut depth) = (start, 1_usize);
    while depth > 0 {
        let (after, c) = anychar(rest)?;
        rest = after;
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\\' => rest = anychar(rest)?.0,
            _ => {}
        }
    }
    Ok((rest, ()))
}

/// `atext`, and every character outside ASCII (RFC 6532 §3.2).
const fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || !c.is_ascii()
        || matches!(c, '!' | '#'..='\'' | '*' | '+' | '-' | '/' | '=' | '?' | '^'..='`' | '{'..='~')
}
