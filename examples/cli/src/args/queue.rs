//! The options of `starttls queue`.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

use super::Account;
use crate::url::Url;
use crate::values::{MAIL_FORMS, mail_url};

#[derive(Debug, Group)]
pub(crate) struct Queue {
    #[command(subcommand)]
    pub(crate) action: QueueAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueAction {
    /// Send the mails that are due. A mail that cannot be delivered is tried again after 30 minutes, then after
    /// longer pauses, for 5 days; then its sender gets a report, as for a mail that the server refuses for good
    Run(Box<QueueRun>),
    /// Show the mails that wait
    List(QueueList),
}

#[derive(Debug, Group)]
pub(crate) struct QueueRun {
    /// The directory of `starttls send --queue`
    pub(crate) directory: PathBuf,
    #[arg(long, value_name = "URL", value_parser = mail_url, help = MAIL_FORMS)]
    pub(crate) server: Url,
    #[command(flatten)]
    pub(crate) account: Account,
    /// Try every mail that is due once, and end; this is the default
    #[arg(long, conflicts_with = "watch")]
    pub(crate) once: bool,
    /// Go on until a signal, and send each mail when it is queued or due again
    #[arg(long)]
    pub(crate) watch: bool,
    /// Print one JSON object per run
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Group)]
pub(crate) struct QueueList {
    /// The directory of `starttls send --queue`
    pub(crate) directory: PathBuf,
    /// Print one JSON object per mail
    #[arg(long)]
    pub(crate) json: bool,
}
