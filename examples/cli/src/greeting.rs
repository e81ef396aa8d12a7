//! What a server says before its client says anything, and behind the client's goodbye.

use std::ops::ControlFlow;
use std::time::Duration;

use starttls::client::{Event, Grammar, MAX_FRAMES};
use starttls::{Client, Error as Rule, Machine, Step};
use starttls_tokio::{Driver, Error};
use tokio::io::{AsyncRead, AsyncWrite};

/// How long a server may take to answer a goodbye.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a server's greeting leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// It is the client's turn, who says what is in [`Greeted::request`].
    Usual,
    /// The client is known already; for the protocol's client there is nothing more to do.
    LoggedIn,
}

/// A client that listens until it would speak.
pub(crate) struct Greeted<G: Grammar> {
    pub(crate) client: Client<G>,
    /// What it would say.
    pub(crate) request: Vec<u8>,
}

impl<G: Grammar> Greeted<G> {
    pub(crate) const fn new(client: Client<G>) -> Self {
        Self { client, request: Vec::new() }
    }

    /// Reads the greeting, where there is one.
    pub(crate) async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        driver: &mut Driver<'_, S>,
    ) -> Result<Greeting, Error> {
        let flow = |event: Option<Greeting>| {
            Ok(event.map_or(ControlFlow::Continue(()), ControlFlow::Break))
        };
        let greeting = driver.run(self, |_, event, _| flow(event)).await?;
        greeting.ok_or_else(|| Rule::Closed.into())
    }
}

impl<G: Grammar> Machine for Greeted<G> {
    type Event<'i> = Option<Greeting>;

    const MAX_INPUT: usize = Client::<G>::MAX_INPUT;
    const MAX_OUTPUT: usize = Client::<G>::MAX_OUTPUT;

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Self::Event<'i>>, Rule> {
        Ok(match self.client.step(input, output)? {
            Step::Read => Step::Read,
            Step::Write(n) => {
                self.request = output.get(..n).unwrap_or_default().to_vec();
                Step::Event(Some(Greeting::Usual))
            }
            Step::Event(Event::Plaintext(_)) => Step::Event(Some(Greeting::LoggedIn)),
            Step::Event(_) => Step::Event(None),
        })
    }

    fn end_of_input(&mut self) -> Result<(), Rule> {
        self.client.end_of_input()
    }

    fn timed_out(&mut self) -> Rule {
        self.client.timed_out()
    }

    fn wait(&self) -> Option<Duration> {
        self.client.wait()
    }
}

/// Says goodbye and shows what the server says to it. It may just go, too.
pub(crate) async fn leave<S: AsyncRead + AsyncWrite + Unpin>(
    mut driver: Driver<'_, S>,
    goodbye: &[u8],
) -> Result<(), Error> {
    if !goodbye.is_empty() {
        driver.send(goodbye).await?;
        let _ = driver.run(&mut Last(0), |_, (), _| Ok(ControlFlow::<()>::Continue(()))).await;
    }
    driver.close().await
}

/// Takes so many lines, and the end.
struct Last(u8);

impl Machine for Last {
    type Event<'i> = ();

    const MAX_INPUT: usize = 1;
    const MAX_OUTPUT: usize = 0;

    fn step(&mut self, input: &mut &[u8], _: &mut [u8]) -> Result<Step<()>, Rule> {
        if input.is_empty() {
            return Ok(Step::Read);
        }
        self.0 = self.0.saturating_add(1);
        if self.0 > MAX_FRAMES {
            return Err(Rule::ReplyTooLong);
        }
        let end = input.iter().position(|octet| *octet == b'\n').map_or(input.len(), |end| end + 1);
        *input = &input[end..];
        Ok(Step::Event(()))
    }

    fn end_of_input(&mut self) -> Result<(), Rule> {
        Ok(())
    }

    fn timed_out(&mut self) -> Rule {
        Rule::TimedOut
    }

    fn wait(&self) -> Option<Duration> {
        Some(PATIENCE)
    }
}
