//! Assembles the frames that a WebSocket client sends into messages, within bounds.

use actix_http::ws::{Codec, Frame as WsFrame, Item};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_util::codec::Decoder as _;

/// The largest message in bytes, in one frame or several (`docs/api.md`, Live).
pub const LIMIT: usize = 64 * 1024;
/// How many frames the reader returns before it yields: a client that sends many small frames must not keep its worker
/// from the others for longer.
const WITHOUT_A_BREAK: u32 = 64;

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text message; its UTF-8 is not checked yet.
    Text(Bytes),
    /// Binary data; the server ignores it.
    Binary,
    /// A fragment of an incomplete message.
    Part,
    /// A ping.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// A close frame, with the code if it has one.
    Close(Option<u16>),
    /// A message larger than [`LIMIT`].
    TooBig,
    /// Bytes that are no valid WebSocket frame.
    Broken,
    /// The connection has ended.
    Gone,
}

impl Incoming {
    /// Whether it counts against the limit of frames.
    pub fn is_a_frame(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary | Self::Part | Self::Ping(_) | Self::Pong)
    }
}

/// Reads and assembles the client's frames.
pub struct FrameReader<P> {
    stream: P,
    codec: Codec,
    buffer: BytesMut,
    /// The fragments of an incomplete message, and whether it is text.
    partial: Option<(BytesMut, bool)>,
    /// Frames since the reader last yielded.
    frames: u32,
}

impl<P, E> FrameReader<P>
where
    P: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// A reader of an upgraded connection.
    pub fn new(stream: P) -> Self {
        // The reader checks lengths before the data arrives; the codec would wait for all of it.
        Self { stream, codec: Codec::new().max_size(usize::MAX), buffer: BytesMut::new(), partial: None, frames: 0 }
    }

    /// Returns the next item once it has arrived.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        loop {
            if self.frames >= WITHOUT_A_BREAK {
                self.frames = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if declared_length(&self.buffer).is_some_and(|length| length > LIMIT as u64) {
                return Poll::Ready(Incoming::TooBig);
            }
            match self.codec.decode(&mut self.buffer) {
                Ok(Some(frame)) => {
                    self.frames += 1;
                    return Poll::Ready(self.whole(frame));
                }
                Ok(None) => {}
                Err(_) => return Poll::Ready(Incoming::Broken),
            }
            if self.buffer.is_empty() {
                // An idle connection keeps no buffer.
                self.buffer = BytesMut::new();
            }
            match Pin::new(&mut self.stream).poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) => self.buffer.extend_from_slice(&bytes),
                Poll::Ready(_) => return Poll::Ready(Incoming::Gone),
                Poll::Pending => {
                    self.frames = 0;
                    return Poll::Pending;
                }
            }
        }
    }

    /// The message that this frame completes, or a fragment.
    fn whole(&mut self, frame: WsFrame) -> Incoming {
        match frame {
            WsFrame::Text(text) => Incoming::Text(text),
            WsFrame::Binary(_) => Incoming::Binary,
            WsFrame::Ping(payload) => Incoming::Ping(payload),
            WsFrame::Pong(_) => Incoming::Pong,
            WsFrame::Close(reason) => Incoming::Close(reason.map(|reason| reason.code.into())),
            WsFrame::Continuation(Item::FirstText(part)) => self.begin(&part, true),
            WsFrame::Continuation(Item::FirstBinary(part)) => self.begin(&part, false),
            WsFrame::Continuation(Item::Continue(part)) => self.extend(&part).err().unwrap_or(Incoming::Part),
            WsFrame::Continuation(Item::Last(part)) => match self.extend(&part) {
                Err(refused) => refused,
                Ok(()) => match self.partial.take() {
                    Some((text, true)) => Incoming::Text(text.freeze()),
                    Some((_, false)) => Incoming::Binary,
                    None => Incoming::Broken,
                },
            },
        }
    }

    fn begin(&mut self, part: &[u8], text: bool) -> Incoming {
        self.partial = Some((BytesMut::from(part), text));
        Incoming::Part
    }

    fn extend(&mut self, part: &[u8]) -> Result<(), Incoming> {
        let Some((whole, _)) = &mut self.partial else { return Err(Incoming::Broken) };
        if whole.len() + part.len() > LIMIT {
            return Err(Incoming::TooBig);
        }
        whole.extend_from_slice(part);
        Ok(())
    }
}

/// The length that the frame at the beginning of the buffer declares.
fn declared_length(buffer: &[u8]) -> Option<u64> {
    match buffer.get(1)? & 0x7f {
        126 => Some(u64::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().ok()?))),
        127 => Some(u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?)),
        short => Some(u64::from(short)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::convert::Infallible;
    use std::task::Waker;

    /// A client's frame, masked with zeros.
    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match length {
            0..126 => frame.push(0x80 | length as u8),
            126..=0xffff => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(vec![b'x'; length.min(200_000)]);
        frame
    }

    fn read(chunks: Vec<Vec<u8>>) -> Vec<Incoming> {
        let chunks = chunks.into_iter().map(|chunk| Ok::<_, Infallible>(Bytes::from(chunk)));
        let mut reader = FrameReader::new(stream::iter(chunks));
        let mut read = Vec::new();
        loop {
            match reader.poll_next(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(end @ (Incoming::Gone | Incoming::TooBig | Incoming::Broken)) => {
                    read.push(end);
                    return read;
                }
                Poll::Ready(Incoming::Part) => {}
                Poll::Ready(incoming) => read.push(incoming),
                Poll::Pending => panic!("nothing to wait for"),
            }
        }
    }

    fn text(length: usize) -> Incoming {
        Incoming::Text(Bytes::from(vec![b'x'; length]))
    }

    #[test]
    fn frames_are_read_however_they_are_cut() {
        let bytes = [frame(0x81, 3), frame(0x89, 1), frame(0x81, 300), frame(0x82, 5), frame(0x8a, 0)].concat();
        let expected = [text(3), Incoming::Ping(Bytes::from_static(b"x")), text(300), Incoming::Binary, Incoming::Pong];
        for size in [1, 2, 7, 1000] {
            let mut read = read(bytes.chunks(size).map(<[u8]>::to_vec).collect());
            assert_eq!(read.pop(), Some(Incoming::Gone));
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn a_message_in_parts_is_whole_again_with_pings_in_between() {
        let parts = vec![frame(0x01, 3), frame(0x00, 0), frame(0x89, 0), frame(0x80, 4), frame(0x81, 1)];
        assert_eq!(read(parts), [Incoming::Ping(Bytes::new()), text(7), text(1), Incoming::Gone]);
    }

    #[test]
    fn many_frames_are_given_out_with_breaks() {
        for (begin, kind) in [(None, 0x89), (None, 0x8a), (None, 0x81), (None, 0x82), (Some(0x01), 0x00)] {
            let begin = begin.map(|first| frame(first, 0)).unwrap_or_default();
            let sent = [begin, frame(kind, 0).repeat(1_000)].concat();
            let mut reader = FrameReader::new(stream::iter([Ok::<_, Infallible>(Bytes::from(sent))]));
            let (mut at_once, mut most, mut all) = (0, 0, 0);
            loop {
                match reader.poll_next(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(Incoming::Gone) => break,
                    Poll::Ready(_) => (at_once, all) = (at_once + 1, all + 1),
                    Poll::Pending => at_once = 0,
                }
                most = most.max(at_once);
            }
            assert!(most <= 64 && all >= 1_000, "{kind:x}: {most} of {all}");
        }
    }

    #[test]
    fn what_is_too_big_is_refused_before_it_is_there() {
        assert_eq!(read(vec![frame(0x81, LIMIT)]), [text(LIMIT), Incoming::Gone]);
        assert_eq!(read(vec![frame(0x81, LIMIT + 1)]), [Incoming::TooBig]);
        let mut endless = frame(0x81, 1 << 40);
        endless.truncate(20);
        assert_eq!(read(vec![endless]), [Incoming::TooBig]);
        assert_eq!(read(vec![frame(0x01, LIMIT), frame(0x00, 1)]), [Incoming::TooBig]);
        assert_eq!(read(vec![frame(0x01, 40_000), frame(0x80, 40_000)]), [Incoming::TooBig]);
    }

    #[test]
    fn what_is_no_frame_breaks_it() {
        let unmasked = vec![0x81, 1, b'x'];
        for bad in [unmasked, frame(0x83, 1), frame(0x80, 1), frame(0xc1, 1), frame(0x88, 1)] {
            assert_eq!(read(vec![bad.clone()]), [Incoming::Broken], "{bad:?}");
        }
        assert_eq!(read(vec![frame(0x01, 1), frame(0x01, 1)]), [Incoming::Broken]);
    }
}
