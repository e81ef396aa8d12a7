//! A receiver's handling of AUTH.

use super::{Dialogue, Over};
use crate::model::parameters;

impl Dialogue<'_> {
    pub(super) fn auth(&mut self, argument: &[u8]) -> Result<(), Over> {
        let words: Vec<_> = argument.split(|o| *o == b' ').filter(|w| !w.is_empty()).collect();
        let mechanism = words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default();
        let refusal = match (self.config.login, words.len(), &mechanism[..]) {
            (None, ..) => Some(502),
            _ if !self.config.tls => Some(538),
            _ if !self.extended || self.user || self.mail.is_some() => Some(503),
            (_, 0 | 3.., _) => Some(501),
            (.., b"PLAIN" | b"LOGIN") => None,
            _ => Some(504),
        };
        if let Some(code) = refusal {
            self.tell("said AUTH");
            return self.mistake(code);
        }
        let mut response =
            words.get(1).map(|word| if *word == b"=" { b"" } else { *word }.to_vec());
        let steps: &[&str] = if mechanism == b"PLAIN" { &["login"] } else { &["user", "login"] };
        for step in steps {
            let response = match response.take() {
                Some(response) => response,
                None => {
                    // The name was reported before the password challenge.
                    if steps.len() == 1 || *step == "user" {
                        self.tell("said AUTH");
                    }
                    self.code(334)?;
                    let line = self.line()?;
                    if self.is_one_too_many() {
                        self.tell("said AUTH");
                        return self.too_many();
                    }
                    if line == b"*" {
                        self.tell("said AUTH");
                        return self.mistake(501);
                    }
                    line
                }
            };
            let Some(decoded) = parameters::base64(&response) else {
                self.tell("said AUTH");
                return self.mistake(501);
            };
            let told = match (*step, steps.len()) {
                ("login", 1) => parameters::plain(&decoded),
                _ => parameters::secret(&decoded).map(|text| format!("<{text}>")),
            };
            self.tell(format!("{step} {}", told.unwrap_or_else(|| "malformed".to_string())));
        }
        if (self.decide)() {
            self.user = true;
            return self.code(235);
        }
        self.code(550)?;
        self.mistakes += 1;
        if self.mistakes > u32::from(self.config.errors) {
            return self.too_many();
        }
        Ok(())
    }
}
