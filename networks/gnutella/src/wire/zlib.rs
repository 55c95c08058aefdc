//! Deflate with a bound: what somebody else has compressed never becomes more than we allow.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use hexad_core::Malformed;

/// All of `bytes` as one zlib stream.
#[must_use]
pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::new(6), true);
    let mut out = Vec::with_capacity(bytes.len() / 4 + 64);
    loop {
        out.reserve(1 << 10);
        let begun = usize::try_from(compress.total_in()).unwrap_or(usize::MAX).min(bytes.len());
        match compress.compress_vec(&bytes[begun..], &mut out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) | Err(_) => return out,
            Ok(_) => {}
        }
    }
}

/// What a whole zlib stream says.
///
/// # Errors
/// When it is none, ends too early, or says more than `bytes_max`.
pub fn inflate(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, Malformed> {
    let mut decompress = Decompress::new(true);
    let mut out = Vec::new();
    loop {
        let (begun, before) = (decompress.total_in(), out.len());
        if before > bytes_max {
            return Err(Malformed::at(before, format!("it inflates to more than {bytes_max} bytes")));
        }
        out.reserve((bytes_max + 1 - before).min(4 << 10));
        let from = usize::try_from(begun).unwrap_or(usize::MAX).min(bytes.len());
        let status = decompress.decompress_vec(&bytes[from..], &mut out, FlushDecompress::None);
        match status.map_err(|_| Malformed::at(from, "not a zlib stream"))? {
            Status::StreamEnd => break,
            _ if decompress.total_in() == begun && out.len() == before => return Err(Malformed::at(from, "a zlib stream without its end")),
            _ => {}
        }
    }
    if out.len() > bytes_max {
        return Err(Malformed::at(out.len(), format!("it inflates to more than {bytes_max} bytes")));
    }
    Ok(out)
}

/// Plain bytes for each compressed one beyond which a link is a bomb; deflate's own limit is 1032.
const RATIO_MAX: u64 = 200;
/// Plain bytes before the ratio is looked at.
const RATIO_FROM: u64 = 1 << 20;
/// Plain bytes that are made at a time: no more than that waits for the reader.
const STEP_BYTES: usize = 32 << 10;

/// The compressed direction of a link in which we hear: a zlib stream that never ends.
#[derive(Debug)]
pub(crate) struct Inflater(Decompress);

impl Inflater {
    pub(crate) fn new() -> Self {
        Self(Decompress::new(true))
    }

    /// Inflates some of `input` behind `plain`; returns how many bytes of `input` it took.
    pub(crate) fn step(&mut self, input: &[u8], plain: &mut bytes::BytesMut) -> Result<usize, Malformed> {
        let (read, written) = (self.0.total_in(), self.0.total_out());
        let start = plain.len();
        plain.resize(start + STEP_BYTES, 0);
        let status = self.0.decompress(input, &mut plain[start..], FlushDecompress::Sync);
        let made = usize::try_from(self.0.total_out() - written).unwrap_or(0);
        plain.truncate(start + made);
        match status {
            Ok(Status::StreamEnd) => return Err(Malformed::at(0, "the zlib stream of a link has ended")),
            Ok(_) => {}
            Err(_) => return Err(Malformed::at(0, "not a zlib stream")),
        }
        if self.0.total_out() > RATIO_FROM && self.0.total_out() / RATIO_MAX > self.0.total_in() {
            return Err(Malformed::at(0, "a zlib stream that inflates without end"));
        }
        Ok(usize::try_from(self.0.total_in() - read).unwrap_or(0))
    }
}

/// The direction in which we speak.
#[derive(Debug)]
pub(crate) struct Deflater {
    compress: Compress,
    plain: bytes::BytesMut,
}

impl Deflater {
    pub(crate) fn new() -> Self {
        Self { compress: Compress::new(Compression::new(6), true), plain: bytes::BytesMut::new() }
    }

    /// What is to be said by the next [`Self::flush`].
    pub(crate) fn plain(&mut self) -> &mut bytes::BytesMut {
        &mut self.plain
    }

    /// Compresses everything, so that the other end can read all of it.
    pub(crate) fn flush(&mut self, out: &mut bytes::BytesMut) {
        if self.plain.is_empty() {
            return;
        }
        let mut packed = Vec::with_capacity(self.plain.len() / 2 + 256);
        let begun = self.compress.total_in();
        loop {
            let taken = usize::try_from(self.compress.total_in() - begun).unwrap_or(usize::MAX).min(self.plain.len());
            let rest = &self.plain[taken..];
            // A compressor in memory with room has nothing to fail at; room that is left over says that all is flushed.
            let failed = self.compress.compress_vec(rest, &mut packed, FlushCompress::Sync).is_err();
            if failed || packed.len() < packed.capacity() {
                break;
            }
            packed.reserve(packed.len().max(1 << 10));
        }
        self.plain.clear();
        out.extend_from_slice(&packed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deflated_is_inflated() {
        for length in [0, 1, 100, 4096, 100_000] {
            let bytes: Vec<u8> = (0..length).map(|place: u32| (place % 251 * place % 7).to_le_bytes()[0]).collect();
            assert_eq!(inflate(&deflate(&bytes), bytes.len()), Ok(bytes));
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_has_grown() {
        let bomb = deflate(&vec![0; 10 << 20]);
        assert!(bomb.len() < 20_000);
        assert!(inflate(&bomb, 64 << 10).is_err());
        let (mut link, mut plain, mut taken) = (Inflater::new(), bytes::BytesMut::new(), 0);
        let end = loop {
            plain.clear();
            match link.step(&bomb[taken..], &mut plain) {
                Ok(more) => taken += more,
                Err(wrong) => break wrong,
            }
            assert!(plain.len() <= STEP_BYTES);
        };
        assert!(end.reason.contains("without end"), "{end}");
    }

    #[test]
    fn a_link_says_everything_at_each_flush() {
        let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
        for length in [1_usize, 30, 5000, 200_000] {
            let said: Vec<u8> = (0..length).map(|place| ((place * 7919) >> 3).to_le_bytes()[0]).collect();
            deflater.plain().extend_from_slice(&said);
            let (mut out, mut plain) = (bytes::BytesMut::new(), bytes::BytesMut::new());
            deflater.flush(&mut out);
            let mut taken = 0;
            loop {
                let before = plain.len();
                taken += inflater.step(&out[taken..], &mut plain).unwrap();
                if taken == out.len() && plain.len() == before {
                    break;
                }
            }
            assert_eq!(plain, said);
        }
    }
}
