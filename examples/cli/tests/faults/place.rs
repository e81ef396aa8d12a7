//! The directory of a scenario.

use std::fs;

use tempfile::TempDir;
use test_identity::Authority;

use crate::inject::Page;

/// A directory with `ca.pem`, and the certificate of `localhost` in `cert.pem` and `key.pem`.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        let authority = Authority::new("faults");
        let identity = authority.localhost();
        for (name, text) in [
            ("ca.pem", authority.pem()),
            ("cert.pem", identity.pem()),
            ("key.pem", identity.key_pem()),
        ] {
            fs::write(place.path(name), text).expect("written");
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Faults for a process that works in it.
    pub(crate) fn page(&self) -> Page {
        Page::new(self.0.path())
    }
}
