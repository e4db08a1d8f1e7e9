//! Frames on a stream: after one opening byte, a length (four bytes, big-endian) and that many bytes,
//! again and again. Not what the frames say.

use quinn::{ReadError, ReadExactError, RecvStream, SendStream, WriteError};

/// The first byte of a stream. It shows the peer that it was accepted, and names this format.
pub(super) const OPENING: u8 = 1;

/// Bytes of the length before each frame.
pub(super) const HEADER: usize = 4;

/// A peer that announces a long frame gets memory as its bytes arrive, not before.
const FIRST_ALLOCATION: usize = 64 << 10;

/// Why no frame could be read. The stream cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a frame of {length} bytes is over the limit of {max}")]
    TooLong { length: usize, max: usize },
    #[error("the stream ended in the middle of a frame")]
    Truncated,
    #[error("the peer proved its key and then said nothing")]
    Silent,
    #[error("the stream begins with {0}, which is no format that this version knows")]
    Opening(u8),
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Reads the opening byte.
pub(super) async fn read_opening(stream: &mut RecvStream) -> Result<(), FrameError> {
    let mut opening = [0; 1];
    read_all(stream, &mut opening).await?.ok_or(FrameError::Truncated)?;
    if opening[0] == OPENING { Ok(()) } else { Err(FrameError::Opening(opening[0])) }
}

/// Reads the next frame; `None` when the peer ended the stream between two frames.
pub(super) async fn read(
    stream: &mut RecvStream,
    max: usize,
) -> Result<Option<Vec<u8>>, FrameError> {
    let mut header = [0; HEADER];
    if read_all(stream, &mut header).await?.is_none() {
        return Ok(None);
    }
    // A length that does not fit is certainly over the limit.
    let length = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
    if length > max {
        return Err(FrameError::TooLong { length, max });
    }
    let mut frame = Vec::with_capacity(length.min(FIRST_ALLOCATION));
    while frame.len() < length {
        let chunk = stream.read_chunk(length - frame.len(), true).await?;
        frame.extend_from_slice(&chunk.ok_or(FrameError::Truncated)?.bytes);
    }
    Ok(Some(frame))
}

/// Writes a frame and its length in one go, so that they share a packet.
pub(super) async fn write(stream: &mut SendStream, frame: Vec<u8>) -> Result<(), WriteError> {
    // `LinkHandle::send` has refused longer frames.
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    let mut parts = [length.to_be_bytes().to_vec().into(), frame.into()];
    stream.write_all_chunks(&mut parts).await
}

/// Fills the buffer; `None` when the stream ended before its first byte.
async fn read_all(stream: &mut RecvStream, buffer: &mut [u8]) -> Result<Option<()>, FrameError> {
    match stream.read_exact(buffer).await {
        Ok(()) => Ok(Some(())),
        Err(ReadExactError::FinishedEarly(0)) => Ok(None),
        Err(ReadExactError::FinishedEarly(_)) => Err(FrameError::Truncated),
        Err(ReadExactError::ReadError(error)) => Err(error.into()),
    }
}
