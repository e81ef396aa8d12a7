use starttls_tokio::mx::Dns;

/// The DNS of a test.
pub(crate) struct World(test_names::World);

impl World {
    pub(crate) async fn new(secure: &str, insecure: &str, bogus: &str) -> Self {
        Self(test_names::World::new(secure, insecure, bogus).await)
    }

    pub(crate) fn dns(&self) -> Dns {
        Dns::at(self.0.address(), Some(self.0.anchor())).expect("a resolver")
    }
}
