//! A client: says hello, waits until all have, sends one mail after the other, says goodbye.

use starttls::mail::session::{Event as Mail, Session};
use starttls::mail::{Address, Envelope};
use starttls::smtp::{self, ClientGrammar, Domain, Smtp};
use starttls::{Policy, Tls};
use starttls_rustls::{Client, ClientTls, Error, Event, Step};

use crate::link::End;
use crate::post::Post;

type Connection = Client<ClientGrammar<'static, Smtp>>;

pub(crate) struct Sender<'p> {
    session: Option<Session<Tls>>,
    job: Job,
    message: Vec<u8>,
    post: &'p Post,
}

#[derive(Clone, Copy, PartialEq)]
enum Job {
    Hello,
    Idle,
    Send,
    /// The message, of which so many octets have left.
    Body(usize),
    Quit,
    Over,
}

pub(crate) fn connection<'p>(tls: &ClientTls, post: &'p Post) -> (Connection, Sender<'p>) {
    let client = smtp::Client::new(Domain::LOCALHOST, Policy::Required);
    let connection = Client::new(client, tls, "localhost".try_into().expect("a name"));
    (connection, Sender { session: None, job: Job::Hello, message: Vec::new(), post })
}

impl End<starttls::Client<ClientGrammar<'static, Smtp>>> for Sender<'_> {
    fn go_on(&mut self, connection: &mut Connection) -> Result<Step<()>, Error> {
        let to = [Address::new("you@example.test").expect("an address")];
        let mail = Envelope::new(None, &to).expect("a recipient");
        loop {
            let Some(session) = &mut self.session else {
                match connection.step()?.event() {
                    Err(need) => return Ok(need),
                    Ok(Event::Established(tls)) => {
                        self.session = Some(Session::new(tls));
                    }
                    Ok(_) => {}
                }
                continue;
            };
            let step = match self.job {
                Job::Hello => connection.step_with(&mut session.hello(Domain::LOCALHOST)?)?,
                Job::Send => connection.step_with(&mut session.send(&mail)?)?,
                Job::Quit => connection.step_with(&mut session.quit()?)?,
                Job::Body(sent) => {
                    let (mut rest, mut mail) = (&self.message[sent..], session.send(&mail)?);
                    if rest.is_empty() {
                        mail.finish()?;
                        self.job = Job::Send;
                    } else if connection.room() == 0 {
                        return Ok(Step::Write);
                    } else {
                        connection.write_with(|free| mail.body(&mut rest, free))?;
                        self.job = Job::Body(self.message.len() - rest.len());
                    }
                    continue;
                }
                Job::Idle if !self.post.begun.get() => return Ok(Step::Event(())),
                Job::Idle => {
                    self.message = self.post.next_mail();
                    self.job = if self.message.is_empty() { Job::Quit } else { Job::Send };
                    continue;
                }
                Job::Over => return Ok(Step::End),
            };
            self.job = match (step.event(), self.job) {
                (Err(need), _) => return Ok(need),
                (Ok(Mail::Body(_)), _) => Job::Body(0),
                (Ok(Mail::Done(_)), Job::Quit) => {
                    connection.close()?;
                    Job::Over
                }
                (Ok(Mail::Done(_)), job) => {
                    let done = if job == Job::Send { &self.post.sent } else { &self.post.up };
                    done.update(|n| n + 1);
                    Job::Idle
                }
                (Ok(Mail::Rejected { .. } | Mail::NoRecipients), _) => Job::Idle,
                (Ok(_), job) => job,
            };
        }
    }
}
