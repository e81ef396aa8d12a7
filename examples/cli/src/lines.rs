//! Converts the lines of a terminal to CRLF.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// A reader that optionally ends lines with CRLF: a lone LF becomes CRLF, and CRLF stays.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    inner: R,
    wanted: bool,
    /// The last byte was CR.
    returned: bool,
    /// The LF of a line end whose CR filled the buffer.
    owed: bool,
}

impl<R> Lines<R> {
    pub(crate) const fn new(inner: R, wanted: bool) -> Self {
        Self { inner, wanted, returned: false, owed: false }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Lines<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.wanted {
            return Pin::new(&mut this.inner).poll_read(cx, buffer);
        }
        if this.owed && buffer.remaining() > 0 {
            buffer.put_slice(b"\n");
            this.owed = false;
            return Poll::Ready(Ok(()));
        }
        // Each byte may become two, and the last LF may have to wait.
        let mut octets = vec![0; buffer.remaining().div_ceil(2)];
        let mut read = ReadBuf::new(&mut octets);
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read))?;
        for octet in read.filled() {
            if *octet == b'\n' && !this.returned {
                buffer.put_slice(b"\r");
            }
            this.returned = *octet == b'\r';
            match buffer.remaining() {
                0 => this.owed = true,
                _ => buffer.put_slice(&[*octet]),
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn line_ends() {
        let text = &b"a\nb\r\n\n\r\r\nc\rd"[..];
        for (wanted, expected) in [(true, &b"a\r\nb\r\n\r\n\r\r\nc\rd"[..]), (false, text)] {
            for room in 1..10 {
                let (mut lines, mut all) = (Lines::new(text, wanted), Vec::new());
                let mut piece = vec![0; room];
                while let Ok(n @ 1..) = lines.read(&mut piece).await {
                    all.extend_from_slice(&piece[..n]);
                }
                assert_eq!(all, expected, "by {room}");
            }
        }
    }
}
