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
            (.., b"SCRAM-SHA-256") if self.config.scram => None,
            _ => Some(504),
        };
        if let Some(code) = refusal {
            self.tell("said AUTH");
            return self.mistake(code);
        }
        let mut response =
            words.get(1).map(|word| if *word == b"=" { b"" } else { *word }.to_vec());
        let steps: &[&str] = match &mechanism[..] {
            b"PLAIN" => &["login"],
            b"LOGIN" => &["user", "login"],
            _ => &["scram"],
        };
        let mut binds_nothing = false;
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
                ("scram", _) => {
                    let told = parameters::scram(&decoded);
                    binds_nothing = told.is_some() && matches!(decoded[..2], [b'n' | b'y', b',']);
                    told
                }
                _ => parameters::secret(&decoded).map(|text| format!("<{text}>")),
            };
            self.tell(format!("{step} {}", told.unwrap_or_else(|| "malformed".to_string())));
        }
        if steps == ["scram"] {
            if binds_nothing && (self.decide)() {
                self.code(334)?;
                let line = self.line()?;
                if self.is_one_too_many() {
                    self.tell("said AUTH");
                    return self.too_many();
                }
                if line == b"*" || parameters::base64(&line).is_none() {
                    self.tell("said AUTH");
                    return self.mistake(501);
                }
                self.tell("scram final");
            }
            // A proof is not found by chance.
            return self.refused();
        }
        if (self.decide)() {
            self.user = true;
            return self.code(235);
        }
        self.refused()
    }

    fn refused(&mut self) -> Result<(), Over> {
        self.code(550)?;
        self.mistakes += 1;
        if self.mistakes > u32::from(self.config.errors) {
            return self.too_many();
        }
        Ok(())
    }
}
