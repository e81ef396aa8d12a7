//! The login, from the options of `starttls send` and `starttls queue run`.

use starttls::mail::session::Mechanism;
use starttls_tokio::Login;

use crate::args::Account;
use crate::files::password;
use crate::outcome::Failure;

/// The login, if one is given.
pub(crate) fn login(account: &Account) -> Result<Option<Login>, Failure> {
    let Some(mechanism) = account.auth else {
        return match (&account.user, &account.password_file) {
            (Some(user), Some(file)) => Ok(Some(Login::new(user, password(file)?.as_str()))),
            (None, None) => Ok(None),
            _ => Err(Failure::local("--user needs --password-file, or --auth EXTERNAL")),
        };
    };
    let login = match (mechanism, &account.user, &account.password_file) {
        (Mechanism::External, user, None) if account.peer.client_cert.is_some() => {
            Login::external(user.clone().unwrap_or_default())
        }
        (Mechanism::External, _, None) => {
            return Err(Failure::local(
                "--auth EXTERNAL needs --client-cert: the certificate identifies you",
            ));
        }
        (Mechanism::External, _, Some(_)) => {
            return Err(Failure::local(
                "--auth EXTERNAL uses no password; leave out --password-file",
            ));
        }
        (Mechanism::XOAuth2, Some(user), Some(file)) => {
            Login::bearer(user, password(file)?.as_str())
        }
        (_, Some(user), Some(file)) => Login::new(user, password(file)?.as_str()),
        _ => {
            let name = mechanism.name();
            return Err(Failure::local(format!("--auth {name} needs --user and --password-file")));
        }
    };
    Ok(Some(login.by(mechanism)))
}
