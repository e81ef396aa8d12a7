//! Each transport through `Arc<dyn Transport>`.

use std::sync::Arc;

use starttls::mail::{Address, Envelope};
use starttls_tokio::{EmlFiles, Error, Maildir, Pool, PoolSettings, Receipt, Recorder, Transport};

use crate::common::Identity;
use crate::mail::serve;

/// On a task of its own, as in a server.
async fn send(transport: Arc<dyn Transport>) -> Result<Receipt, Error> {
    let task = tokio::spawn(async move {
        let to = [Address::new("a@b.test").expect("an address")];
        let envelope = Envelope::new(None, &to).expect("a recipient");
        transport.send(&envelope, b"x\r\n").await
    });
    task.await.expect("no panic")
}

#[tokio::test]
async fn every_transport_is_an_object() {
    let identity = Identity::new();
    let recorder = Recorder::new();
    send(Arc::new(recorder.clone())).await.expect("recorded");
    assert_eq!(recorder.mails()[0].message, b"x\r\n");

    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path();
    send(Arc::new(EmlFiles::new(place.join("eml")).expect("made"))).await.expect("stored");
    send(Arc::new(Maildir::new(place.join("maildir")).expect("made"))).await.expect("stored");
    for part in ["eml", "maildir/new"] {
        let files = std::fs::read_dir(place.join(part)).expect("a directory").count();
        assert_eq!(files, 1, "{part}");
    }

    let (port, kept, task) = serve::<starttls::smtp::Smtp>(identity.inbox()).await;
    send(Arc::new(identity.mailer(port))).await.expect("sent");
    task.await.expect("no panic").expect("a goodbye");
    assert_eq!(kept.mails().len(), 1);
    let (port, kept, task) = serve::<starttls::smtp::Smtp>(identity.inbox()).await;
    let pool = Pool::new(identity.settings(port), PoolSettings::new());
    send(Arc::new(pool.clone())).await.expect("sent");
    pool.shutdown().await;
    task.await.expect("no panic").expect("a goodbye");
    assert_eq!(kept.mails().len(), 1);
}
