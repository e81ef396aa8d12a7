use nom::Err;

use super::MAX_MESSAGE;
use super::ber::{BOOLEAN, ENUMERATED, Elements, INTEGER, OCTET_STRING, SEQUENCE, head, integer};
use crate::Error;
use crate::wire::{Header, Octets};

pub(super) const BIND: u8 = 0x60;
pub(super) const EXTENDED_REQUEST: u8 = 0x77;
pub(super) const EXTENDED_RESPONSE: u8 = 0x78;
pub(super) const REQUEST_NAME: u8 = 0x80;
const REQUEST_VALUE: u8 = 0x81;
pub(super) const RESPONSE_NAME: u8 = 0x8a;
const RESPONSE_VALUE: u8 = 0x8b;
const CONTROLS: u8 = 0xa0;
const REFERRAL: u8 = 0xa3;
/// `simple [0] OCTET STRING` of a bind request.
const SIMPLE: u8 = 0x80;

pub(super) const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
pub(super) const NOTICE_OF_DISCONNECTION: &[u8] = b"1.3.6.1.4.1.1466.20036";

/// The outermost tag and length of an `LDAPMessage`.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Envelope(());

impl Header for Envelope {
    const MAX_PACKET: usize = MAX_MESSAGE;

    fn packet_len(input: &[u8]) -> Result<Option<usize>, Error> {
        match head(Octets(input)) {
            Ok((rest, (SEQUENCE, length))) => {
                let head = input.len().saturating_sub(rest.0.len());
                Ok(Some(head.saturating_add(length)))
            }
            Err(Err::Incomplete(_)) if matches!(input, [] | [SEQUENCE, ..]) => Ok(None),
            _ => Err(Error::Syntax),
        }
    }
}

/// `LDAPMessage ::= SEQUENCE { messageID, protocolOp CHOICE { … }, controls [0] Controls OPTIONAL }`
/// (RFC 4511 §4.1.1).
pub(super) struct Message<'m> {
    /// `INTEGER (0 .. 2147483647)`.
    pub(super) id: i32,
    /// The tag of the operation.
    pub(super) op: u8,
    /// The contents of the operation.
    pub(super) body: &'m [u8],
    /// `Controls ::= SEQUENCE OF control Control`. Their contents are not checked.
    controls: &'m [u8],
}

impl<'m> Message<'m> {
    pub(super) fn parse(frame: &'m [u8]) -> Option<Self> {
        let mut fields = Elements::new(Elements::new(frame).next(SEQUENCE)?);
        let id = integer(fields.next(INTEGER)?).filter(|id| *id >= 0)?;
        let (op, body) = fields.any()?;
        let controls = fields.list(CONTROLS, SEQUENCE)?.unwrap_or_default();
        fields.end()?;
        Some(Self { id, op, body, controls })
    }

    /// Whether one of the controls is critical: `Control ::= SEQUENCE { controlType LDAPOID,
    /// criticality BOOLEAN DEFAULT FALSE, controlValue OCTET STRING OPTIONAL }` (RFC 4511 §4.1.11).
    pub(super) fn has_critical_control(&self) -> Option<bool> {
        let (mut controls, mut critical) = (Elements::new(self.controls), false);
        while controls.end().is_none() {
            let mut control = Elements::new(controls.next(SEQUENCE)?);
            let _type = control.next(OCTET_STRING)?;
            critical |= match control.next(BOOLEAN) {
                None | Some([0]) => false,
                Some([_]) => true,
                Some(_) => return None,
            };
            let _value = control.next(OCTET_STRING);
            control.end()?;
        }
        Some(critical)
    }
}

/// `ExtendedResponse ::= [APPLICATION 24] SEQUENCE { COMPONENTS OF LDAPResult,
/// responseName [10] LDAPOID OPTIONAL, responseValue [11] OCTET STRING OPTIONAL }` (RFC 4511 §4.12).
pub(super) struct Response<'m> {
    pub(super) code: i32,
    /// A text for people.
    pub(super) diagnostic: &'m [u8],
    /// Whether it has a referral. Only the result `referral` may have one (RFC 4511 §4.1.10).
    pub(super) refers: bool,
    pub(super) name: Option<&'m [u8]>,
    pub(super) value: Option<&'m [u8]>,
}

impl<'m> Response<'m> {
    pub(super) fn parse(body: &'m [u8]) -> Option<Self> {
        let mut fields = Elements::new(body);
        let code = integer(fields.next(ENUMERATED)?)?;
        let _matched_dn = fields.next(OCTET_STRING)?;
        let diagnostic = fields.next(OCTET_STRING)?;
        let refers = fields.list(REFERRAL, OCTET_STRING)?.is_some();
        let (name, value) = (fields.next(RESPONSE_NAME), fields.next(RESPONSE_VALUE));
        fields.end()?;
        Some(Self { code, diagnostic, refers, name, value })
    }
}

/// The name and value of an `ExtendedRequest ::= [APPLICATION 23] SEQUENCE { requestName [0] LDAPOID,
/// requestValue [1] OCTET STRING OPTIONAL }` (RFC 4511 §4.12).
pub(super) fn extended_request(body: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let mut fields = Elements::new(body);
    let request = (fields.next(REQUEST_NAME)?, fields.next(REQUEST_VALUE));
    fields.end()?;
    Some(request)
}

/// Whether a `BindRequest ::= [APPLICATION 0] SEQUENCE { version INTEGER (1 .. 127), name LDAPDN,
/// authentication CHOICE { simple [0] OCTET STRING, sasl [3] … } }` (RFC 4511 §4.2) has no credential.
pub(super) fn is_anonymous(body: &[u8]) -> Option<bool> {
    let mut fields = Elements::new(body);
    let _version = integer(fields.next(INTEGER)?)?;
    let _name = fields.next(OCTET_STRING)?;
    let (choice, secret) = fields.any()?;
    fields.end()?;
    Some(choice == SIMPLE && secret.is_empty())
}
