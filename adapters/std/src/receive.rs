use std::net::TcpStream;
use std::ops::ControlFlow;

use starttls::mail::{Inbound, inbound};
use starttls::smtp::Dialect;
use starttls_common::{
    Answer, Asked, Doing, Error, InboxSettings, Mail, Observer, Taking, bad_credentials,
};

use crate::driver::Driver;
use crate::server::handshake;
use crate::socket::Socket;

/// An application that judges and takes the mail that [`Inbox`] receives.
pub trait Deliver {
    /// Whether this is the password of `user`; asked only over TLS, and only where
    /// the settings offer it. By default no user has one.
    fn authenticate(&mut self, user: &str, password: &str) -> Answer {
        let _ = (user, password);
        bad_credentials()
    }

    /// Whether a mail from `path` is welcome; empty for reports about failures.
    fn sender(&mut self, path: &str) -> Answer {
        let _ = path;
        Answer::new(250, "2.1.0 Sender ok")
    }

    /// Whether `path` is a recipient here.
    fn recipient(&mut self, path: &str) -> Answer {
        let _ = path;
        Answer::new(250, "2.1.5 Recipient ok")
    }

    /// Takes a mail; 2yz promises that it is safe.
    fn deliver(&mut self, mail: &Mail) -> Answer;
}

/// A server that takes mail, one connection at a time.
#[derive(Clone, Debug)]
pub struct Inbox {
    settings: InboxSettings,
}

impl Inbox {
    /// By these settings.
    #[must_use]
    pub const fn new(settings: InboxSettings) -> Self {
        Self { settings }
    }

    /// Takes the mail of one accepted connection, to its end.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network; mail delivered before stays delivered.
    pub fn receive<D: Dialect>(
        &self,
        stream: TcpStream,
        deliver: &mut dyn Deliver,
        observer: impl Observer + Send,
    ) -> Result<(), Error> {
        stream.set_nodelay(true).map_err(Error::io(Doing::SettingUp))?;
        let mut inbound = self.settings.inbound::<D>()?;
        let mut taking = Taking::new(self.settings.max_message());
        let mut driver = Driver::new(stream, self.settings.timeouts(), observer);
        driver.link.never_quote();
        if !take(&mut driver, &mut inbound, &mut taking, deliver)? {
            return driver.close();
        }
        let early = driver.unread().to_vec();
        let mut driver = handshake(driver, self.settings.tls(), &early)?;
        inbound.encrypted()?;
        take(&mut driver, &mut inbound, &mut taking, deliver)?;
        driver.close()
    }
}

/// Asks the application whatever it is asked, until the client leaves or, which is `true`, wants TLS.
fn take<S: Socket, D: Dialect>(
    driver: &mut Driver<'_, S>,
    inbound: &mut Inbound<'_, D>,
    taking: &mut Taking,
    deliver: &mut dyn Deliver,
) -> Result<bool, Error> {
    let starts_tls =
        driver.run_discreetly(inbound, Taking::is_credential, |inbound, event, out| {
            if event == inbound::Event::StartTls {
                return Ok(ControlFlow::Break(true));
            }
            let asked = match taking.take(inbound, event) {
                ControlFlow::Continue(Some(asked)) => asked,
                ControlFlow::Continue(None) => return Ok(ControlFlow::Continue(())),
                ControlFlow::Break(()) => return Ok(ControlFlow::Break(false)),
            };
            let answer = match &asked {
                Asked::Nothing(answer) => answer.clone(),
                Asked::Login { user, password } => deliver.authenticate(user, password),
                Asked::Sender => deliver.sender(&taking.mail().from),
                Asked::Recipient(recipient) => deliver.recipient(&recipient.path),
                Asked::Message => deliver.deliver(taking.mail()),
            };
            taking.answer(inbound, asked, &answer, out)?;
            Ok(ControlFlow::Continue(()))
        })?;
    Ok(starts_tls == Some(true))
}
