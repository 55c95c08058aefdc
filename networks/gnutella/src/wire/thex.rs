//! THEX: a Tiger tree as a DIME message of two records. Spec §20.

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_core::Malformed;

use super::reader::Reader;

/// Bytes under one leaf.
pub const LEAF_BYTES: u64 = 1024;
/// Records of one DIME message.
const RECORDS_MAX: usize = 8;
/// A serialised tree is not longer.
pub const TREE_BYTES_MAX: usize = 512 << 10;

const BREADTH_FIRST: &str = "http://open-content.net/spec/thex/breadthfirst";

/// One DIME record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DimeRecord {
    /// 1: MIME type, 2: URI.
    pub type_format: u8,
    /// Such as `uuid:…`.
    pub id: Bytes,
    /// Such as `text/xml`.
    pub kind: Bytes,
    /// What it holds.
    pub data: Bytes,
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// Writes a DIME message.
#[must_use]
pub fn write_dime(records: &[DimeRecord]) -> Bytes {
    let mut out = BytesMut::new();
    for (number, record) in records.iter().enumerate() {
        let (first, last) = (number == 0, number + 1 == records.len());
        out.put_u8(1 << 3 | u8::from(first) << 2 | u8::from(last) << 1);
        out.put_u8(record.type_format << 4);
        let short = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
        out.put_u16(0);
        out.put_u16(short(record.id.len()));
        out.put_u16(short(record.kind.len()));
        out.put_u32(u32::try_from(record.data.len()).unwrap_or(u32::MAX));
        for field in [&record.id, &record.kind, &record.data] {
            out.put_slice(field);
            out.put_bytes(0, padded(field.len()) - field.len());
        }
    }
    out.freeze()
}

/// Reads a DIME message.
///
/// # Errors
/// When it is none.
pub fn read_dime(bytes: &[u8]) -> Result<Vec<DimeRecord>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut records = Vec::new();
    loop {
        let head = reader.u8()?;
        let kind_of_type = reader.u8()?;
        if head >> 3 != 1 || head & 1 != 0 || records.len() >= RECORDS_MAX {
            return Err(reader.wrong("expected a DIME record of version 1 in one piece"));
        }
        let (options, id, kind) = (reader.u16_be()?, reader.u16_be()?, reader.u16_be()?);
        let data = usize::try_from(reader.u32_be()?).unwrap_or(usize::MAX);
        let mut field = |length: usize| -> Result<Bytes, Malformed> {
            let field = reader.take(length)?;
            // The padding of the last field may be missing.
            let padding = (padded(length) - length).min(reader.left());
            reader.take(padding)?;
            Ok(Bytes::copy_from_slice(field))
        };
        field(options.into())?;
        let (id, kind, data) = (field(id.into())?, field(kind.into())?, field(data)?);
        records.push(DimeRecord { type_format: kind_of_type >> 4, id, kind, data });
        if head & 2 != 0 {
            return Ok(records);
        }
    }
}

/// The levels of a tree, root first, as THEX serialises them, for a file of `size`.
#[must_use]
pub fn write_thex(size: u64, depth: usize, uuid: &str, digests: &[[u8; 24]]) -> Bytes {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<!DOCTYPE hashtree SYSTEM \"http://open-content.net/spec/thex/thex.dtd\">\r\n<hashtree>\r\n\
         <file size=\"{size}\" segmentsize=\"{LEAF_BYTES}\"/>\r\n<digest algorithm=\"http://open-content.net/spec/digest/tiger\" outputsize=\"24\"/>\r\n\
         <serializedtree depth=\"{depth}\" type=\"{BREADTH_FIRST}\" uri=\"uuid:{uuid}\"/>\r\n</hashtree>\r\n"
    );
    write_dime(&[
        DimeRecord { type_format: 1, id: Bytes::new(), kind: Bytes::from_static(b"text/xml"), data: xml.into_bytes().into() },
        DimeRecord {
            type_format: 2,
            id: format!("uuid:{uuid}").into_bytes().into(),
            kind: Bytes::from_static(BREADTH_FIRST.as_bytes()),
            data: digests.concat().into(),
        },
    ])
}

/// The digests of a serialised tree, root first, level by level; nothing of them is checked.
///
/// # Errors
/// When there is no such tree in it.
pub fn read_thex(bytes: &[u8]) -> Result<Vec<[u8; 24]>, Malformed> {
    let records = read_dime(bytes)?;
    let tree = records.iter().find(|record| record.kind == BREADTH_FIRST.as_bytes());
    let tree = tree.ok_or_else(|| Malformed::at(0, "expected a record with a tree in breadth-first order"))?;
    if tree.data.is_empty() || tree.data.len() % 24 != 0 || tree.data.len() > TREE_BYTES_MAX {
        return Err(Malformed::at(0, "expected digests of 24 bytes"));
    }
    Ok(tree.data.chunks_exact(24).filter_map(|digest| digest.try_into().ok()).collect())
}
