//! Computations that would hold up the node's thread. Run on blocking threads.

use std::io::{Read as _, Write as _};

use argon2::Argon2;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use hexad_core::{AskFailure, CpuJob, CpuResult};

/// Does it.
pub(super) fn work(job: CpuJob) -> Result<CpuResult, AskFailure> {
    match job {
        CpuJob::Argon2 { password, salt } => {
            let mut key = [0; 32];
            Argon2::default().hash_password_into(&password, &salt, &mut key).map_err(other)?;
            Ok(CpuResult::Bytes(Bytes::copy_from_slice(&key)))
        }
        CpuJob::Sign(_) => Err(other("the key is not kept where computations are done")),
        CpuJob::Deflate(bytes) => {
            let mut deflating = ZlibEncoder::new(Vec::new(), Compression::default());
            deflating.write_all(&bytes).map_err(other)?;
            Ok(CpuResult::Bytes(deflating.finish().map_err(other)?.into()))
        }
        CpuJob::Inflate { bytes, bytes_max } => {
            let mut inflated = Vec::new();
            ZlibDecoder::new(&bytes[..]).take(bytes_max.saturating_add(1)).read_to_end(&mut inflated).map_err(other)?;
            if inflated.len() as u64 > bytes_max {
                return Err(AskFailure::TooLarge(bytes_max));
            }
            Ok(CpuResult::Bytes(inflated.into()))
        }
        CpuJob::Encode { blocks, recovery } => {
            let added = reed_solomon_simd::encode(blocks.len(), recovery, &blocks).map_err(other)?;
            Ok(CpuResult::Blocks(added.into_iter().map(Bytes::from).collect()))
        }
        CpuJob::Decode { blocks, originals } => decode(&blocks, originals).map(CpuResult::Blocks),
    }
}

fn decode(blocks: &[Option<Bytes>], originals: usize) -> Result<Vec<Bytes>, AskFailure> {
    if originals > blocks.len() {
        return Err(other(format!("expected {originals} originals or more, came {} blocks", blocks.len())));
    }
    let (first, recovery) = blocks.split_at(originals);
    if first.iter().all(Option::is_some) {
        return Ok(first.iter().flatten().cloned().collect());
    }
    let there = |blocks: &[Option<Bytes>]| -> Vec<(usize, Bytes)> {
        blocks.iter().enumerate().filter_map(|(index, block)| Some((index, block.clone()?))).collect()
    };
    let mut restored = reed_solomon_simd::decode(originals, recovery.len(), there(first), there(recovery)).map_err(other)?;
    first
        .iter()
        .enumerate()
        .map(|(index, block)| {
            block.clone().or_else(|| restored.remove(&index).map(Bytes::from)).ok_or_else(|| other("a block is not restored"))
        })
        .collect()
}

fn other(wrong: impl ToString) -> AskFailure {
    AskFailure::Other(wrong.to_string())
}
