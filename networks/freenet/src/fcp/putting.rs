//! What a program wants to have inserted: one file or a directory, from the message itself, from the disk, or a name for something elsewhere.

use bytes::Bytes;

use super::codec::Message;
use super::codes::ProtocolError;
use super::disk::{Disk, code_of};
use super::session::BYTES_MAX;
use crate::gateway::mime_of_name;
use crate::keys::Uri;
use crate::node::PutFile;

/// Files of a directory on the disk.
const FILES_MAX: usize = 2000;

/// What is wrong, and with what.
pub(super) type Wrong = (ProtocolError, Option<&'static str>);

/// Files, and for a directory the one that stands for it.
pub(super) struct ToPut {
    pub(super) files: Vec<PutFile>,
    pub(super) directory: Option<Option<String>>,
}

/// Whether a file may be read, by its path and what the program says of its content.
type MayRead<'a> = &'a dyn Fn(&str, Option<&str>) -> bool;

/// Reads what is to be inserted. A file's name goes to the end of a CHK.
pub(super) fn asked_to_put(disk: &dyn Disk, may_read: MayRead<'_>, message: &Message, uri: &mut Uri) -> Result<ToPut, Wrong> {
    let files = match message.name.as_str() {
        "ClientPut" => return Ok(ToPut { files: vec![one(disk, may_read, message, uri)?], directory: None }),
        "ClientPutDiskDir" => from_disk(disk, may_read, message)?,
        _ => from_message(disk, may_read, message)?,
    };
    let mut paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    paths.sort_unstable();
    if paths.windows(2).any(|pair| pair[0] == pair[1] || pair[1].starts_with(&format!("{}/", pair[0]))) {
        return Err((ProtocolError::InvalidMessage, Some("a name is used twice, or for a file and a directory")));
    }
    Ok(ToPut { files, directory: Some(message.field("DefaultName").map(str::to_owned)) })
}

fn one(disk: &dyn Disk, may_read: MayRead<'_>, message: &Message, uri: &mut Uri) -> Result<PutFile, Wrong> {
    let mut name = message.field("TargetFilename").map(str::to_owned);
    let mut file = PutFile { path: String::new(), mime: None, bytes: Bytes::new(), redirect: None };
    match message.field("UploadFrom").unwrap_or("direct") {
        "direct" => file.bytes = message.data.clone().ok_or((ProtocolError::MissingField, Some("DataLength")))?,
        "redirect" => {
            let target = message.field("TargetURI").ok_or((ProtocolError::MissingField, Some("TargetURI")))?;
            if Uri::parse(target).is_err() {
                return Err((ProtocolError::UriParse, Some("TargetURI")));
            }
            file.redirect = Some(target.to_owned());
        }
        "disk" => {
            let path = message.field("Filename").ok_or((ProtocolError::MissingField, Some("Filename")))?;
            file.bytes = read(disk, may_read, path, message.field("FileHash"))?;
            name = name.or_else(|| path.rsplit('/').next().map(str::to_owned));
            file.mime = mime_of_name(path).map(str::to_owned);
        }
        _ => return Err((ProtocolError::InvalidField, Some("UploadFrom"))),
    }
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        if name.contains('/') {
            return Err((ProtocolError::InvalidField, Some("TargetFilename")));
        }
        if uri.wants_key() && uri.path.is_empty() {
            uri.path.push(name);
        }
    }
    file.mime = message.field("Metadata.ContentType").filter(|mime| !mime.is_empty()).map(str::to_owned).or(file.mime);
    Ok(file)
}

fn read(disk: &dyn Disk, may_read: MayRead<'_>, path: &str, hash: Option<&str>) -> Result<Bytes, Wrong> {
    if !may_read(path, hash) {
        return Err((ProtocolError::DirectDiskAccessDenied, Some("Filename")));
    }
    disk.read(path, usize::try_from(BYTES_MAX).unwrap_or(0)).map_err(|wrong| (code_of(&wrong), Some("Filename")))
}

fn from_message(disk: &dyn Disk, may_read: MayRead<'_>, message: &Message) -> Result<Vec<PutFile>, Wrong> {
    let mut files = Vec::new();
    let mut payload = message.data.clone().unwrap_or_default();
    for number in 0.. {
        let field = |what: &str| message.field(&format!("Files.{number}.{what}"));
        let Some(path) = field("Name") else { break };
        let mime = field("Metadata.ContentType").filter(|mime| !mime.is_empty()).map(str::to_owned);
        let mut file = PutFile { path: path.trim_start_matches('/').to_owned(), mime, bytes: Bytes::new(), redirect: None };
        match field("UploadFrom").unwrap_or("direct") {
            "direct" => {
                let length = field("DataLength").and_then(|text| text.parse::<usize>().ok());
                let length = length.ok_or((ProtocolError::MissingField, Some("Files.N.DataLength")))?;
                if length > payload.len() {
                    return Err((ProtocolError::MessageParse, Some("the files are longer than the payload")));
                }
                file.bytes = payload.split_to(length);
            }
            "redirect" => {
                let target = field("TargetURI").ok_or((ProtocolError::MissingField, Some("Files.N.TargetURI")))?;
                file.redirect = Some(target.to_owned());
            }
            "disk" => {
                let path = field("Filename").ok_or((ProtocolError::MissingField, Some("Files.N.Filename")))?;
                file.bytes = read(disk, may_read, path, None)?;
                file.mime = file.mime.or_else(|| mime_of_name(path).map(str::to_owned));
            }
            _ => return Err((ProtocolError::InvalidField, Some("Files.N.UploadFrom"))),
        }
        files.push(file);
    }
    if files.is_empty() {
        return Err((ProtocolError::MissingField, Some("Files.0.Name")));
    }
    Ok(files)
}

/// All files below a folder, but for hidden ones.
fn from_disk(disk: &dyn Disk, may_read: MayRead<'_>, message: &Message) -> Result<Vec<PutFile>, Wrong> {
    let folder = message.field("Filename").ok_or((ProtocolError::MissingField, Some("Filename")))?.trim_end_matches('/');
    // Whoever has shown that he can read the folder can read what is below it.
    if !may_read(&format!("{folder}/"), None) {
        return Err((ProtocolError::DirectDiskAccessDenied, Some("Filename")));
    }
    let wrong = |wrong| (code_of(&wrong), Some("Filename"));
    let hidden = message.flag("includeHiddenFiles", false);
    let (mut files, mut left) = (Vec::new(), BYTES_MAX);
    for path in disk.files(folder, FILES_MAX).map_err(wrong)? {
        if !hidden && path.split('/').any(|name| name.starts_with('.')) {
            continue;
        }
        let bytes = match disk.read(&format!("{folder}/{path}"), usize::try_from(left).unwrap_or(0)) {
            Ok(bytes) => bytes,
            Err(_) if message.flag("AllowUnreadableFiles", false) => continue,
            Err(why) => return Err(wrong(why)),
        };
        left -= bytes.len() as u64;
        files.push(PutFile { mime: mime_of_name(&path).map(str::to_owned), path, bytes, redirect: None });
    }
    if files.is_empty() {
        return Err((ProtocolError::FileNotFound, Some("there are no files")));
    }
    Ok(files)
}
