//! Composes a message from text and files, with a header.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use starttls::ArgumentError;
use starttls::mail::message::{Attachment, Date, Mailbox};
use starttls::mail::{Address, Message};
use starttls_std::Composed;

use crate::files;
use crate::international;
use crate::letter::Letter;
use crate::message::Source;
use crate::outcome::Failure;

/// The whole message, in memory or in a temporary file.
pub(crate) fn message(
    from: &str,
    to: &[String],
    subject: &str,
    text: &str,
    files: &[PathBuf],
) -> Result<Letter, Failure> {
    if from.is_empty() {
        let why = "--from '<>' gives no sender for the header; write the header yourself, \
            without --subject";
        return Err(Failure::local(why));
    }
    let from_mailbox = mailbox(from, "the sender's address")?;
    let to =
        to.iter().map(|to| mailbox(to, "a recipient's address")).collect::<Result<Vec<_>, _>>()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (_, domain) = from.rsplit_once('@').unwrap_or_default();
    let domain =
        international::host(domain).map_err(|why| Failure::local(format!("--from {why}")))?;
    let id = format!("{}.{}@{domain}", now.as_nanos(), std::process::id());
    let attached = files.iter().map(|path| attachment(path)).collect::<Result<Vec<_>, _>>()?;
    let attachments = attached
        .iter()
        .zip(files)
        .map(|((content_type, name, content), path)| {
            let attachment = Attachment::new(content_type, name).map_err(bad(&path.display()))?;
            let size = content.size().map_err(|error| files::unreadable(ATTACH, path, &error))?;
            Ok(attachment.with_size(size))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let message = Message::new(from_mailbox, &to)
        .with_subject(subject)
        .map_err(bad(&"the subject"))?
        .with_date(Date::utc(now.as_secs()).map_err(bad(&"the clock"))?)
        .with_id(&id)
        .map_err(bad(&"the sender's domain"))?
        .with_text(text)
        .with_attachments(&attachments);
    let contents: Vec<Box<dyn Read + '_>> =
        attached.iter().map(|(_, _, content)| content.reader()).collect();
    Source::copy(Composed::new(&message, contents)?)
        .and_then(Letter::read)
        .map_err(|error| Failure::local(format!("composing the message: {error}")))
}

fn mailbox<'a>(address: &'a str, what: &str) -> Result<Mailbox<'a>, Failure> {
    Address::international(address).map(Mailbox::new).map_err(bad(&what))
}

const ATTACH: &str = "--attach";

/// A file's type, name and content.
fn attachment(path: &Path) -> Result<(String, String, Source), Failure> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        let what = "the name of a file that is attached has to be UTF-8";
        Failure::from(files::unusable(ATTACH, path, what, "Rename it."))
    })?;
    let content = Source::open(path).map_err(|error| files::unreadable(ATTACH, path, &error))?;
    let guess = mime_guess::from_path(path).first_or_octet_stream();
    // A mail reader would open whole messages as such; an attached file must stay bytes.
    let content_type = match guess.type_().as_str() {
        "message" | "multipart" => "application/octet-stream".to_owned(),
        _ => guess.essence_str().to_owned(),
    };
    Ok((content_type, name.to_owned(), content))
}

fn bad(what: &dyn std::fmt::Display) -> impl FnOnce(ArgumentError) -> Failure {
    let what = what.to_string();
    move |why| Failure::local(format!("{what} {why}"))
}
