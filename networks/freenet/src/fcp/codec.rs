//! The grammar: a name, lines of `Key=Value`, and an end; messages with a payload end in `Data` and have a length.

use bytes::{Buf as _, Bytes, BytesMut};
use data_encoding::BASE64;
use hexad_core::Malformed;

/// Longest line.
const LINE_BYTES_MAX: usize = 4096;
/// Longest name of a message.
const NAME_BYTES_MAX: usize = 128;
/// Fields of one message: a directory has several for each file.
const FIELDS_MAX: usize = 20_000;
/// Largest payload.
const DATA_BYTES_MAX: u64 = 64 << 20;

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub name: String,
    /// Its fields, in their order.
    pub fields: Vec<(String, String)>,
    /// Its payload, where it has one.
    pub data: Option<Bytes>,
}

impl Message {
    /// A message without fields.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), fields: Vec::new(), data: None }
    }

    /// The same with one field more.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.fields.push((key.to_owned(), value.to_string()));
        self
    }

    /// A field; the last one where there are several.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// A field that says yes or no; `default` for whatever is neither.
    #[must_use]
    pub fn flag(&self, key: &str, default: bool) -> bool {
        match self.field(key).map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "yes") => true,
            Some("false" | "no") => false,
            _ => default,
        }
    }
}

/// The bytes of one client.
#[derive(Debug, Default)]
pub struct Codec {
    /// A message whose end has not come.
    partial: Option<Message>,
    /// Its payload is still to come.
    waiting: Option<usize>,
}

impl Codec {
    /// The next message; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When it cannot be one. The connection is of no more use then.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        loop {
            if let Some(length) = self.waiting {
                if input.len() < length {
                    return Ok(None);
                }
                self.waiting = None;
                let mut message = self.partial.take().unwrap_or_default();
                message.data = Some(input.split_to(length).freeze());
                return Ok(Some(message));
            }
            let Some(line) = line(input)? else { return Ok(None) };
            let Some(message) = &mut self.partial else {
                if line.is_empty() {
                    continue;
                }
                if line.len() > NAME_BYTES_MAX {
                    return Err(Malformed::at(0, "expected a name of at most 128 bytes"));
                }
                self.partial = Some(Message::new(&line));
                continue;
            };
            if line == "Data" {
                self.waiting = Some(payload_bytes(message)?);
                continue;
            }
            match line.split_once('=') {
                Some((key, value)) => {
                    if message.fields.len() >= FIELDS_MAX {
                        return Err(Malformed::at(0, "expected fewer fields"));
                    }
                    // A second sign of equality says that the value is in base64.
                    let value = match value.strip_prefix('=') {
                        Some(coded) => {
                            let plain = BASE64.decode(coded.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                            plain.ok_or_else(|| Malformed::at(0, "expected base64 of UTF-8"))?
                        }
                        None => value.to_owned(),
                    };
                    message.fields.push((key.to_owned(), value));
                }
                None if line.starts_with("End") => return Ok(self.partial.take()),
                None => return Err(Malformed::at(0, "expected a field, or the end of the message")),
            }
        }
    }
}

/// One line without its end.
fn line(input: &mut BytesMut) -> Result<Option<String>, Malformed> {
    let Some(end) = input.iter().take(LINE_BYTES_MAX + 1).position(|&byte| byte == b'\n') else {
        return if input.len() > LINE_BYTES_MAX {
            Err(Malformed::at(LINE_BYTES_MAX, "expected a line of at most 4096 bytes"))
        } else {
            Ok(None)
        };
    };
    let mut line = input.split_to(end);
    input.advance(1);
    if line.last() == Some(&b'\r') {
        line.truncate(line.len() - 1);
    }
    String::from_utf8(line.to_vec()).map(Some).map_err(|_| Malformed::at(0, "expected UTF-8"))
}

/// How long the payload is: said by the message, or by all files of a directory that come with it.
fn payload_bytes(message: &Message) -> Result<usize, Malformed> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| Malformed::at(0, "expected a number for a length"));
    let mut total = match message.field("DataLength") {
        Some(length) => number(length)?,
        None => 0,
    };
    if message.name == "ClientPutComplexDir" {
        for (key, value) in &message.fields {
            if key.starts_with("Files.") && key.ends_with(".DataLength") {
                total = total.saturating_add(number(value)?);
            }
        }
    } else if message.field("DataLength").is_none() {
        return Err(Malformed::at(0, "expected DataLength before Data"));
    }
    if total > DATA_BYTES_MAX {
        return Err(Malformed::at(0, format!("expected at most {DATA_BYTES_MAX} bytes of payload, came {total}")));
    }
    usize::try_from(total).map_err(|_| Malformed::at(0, "expected less payload"))
}

/// Appends a message as the node writes it.
pub fn write(message: &Message, out: &mut BytesMut) {
    let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
    put(&message.name);
    put("\n");
    for (key, value) in &message.fields {
        put(key);
        put("=");
        // A line feed would end the field.
        put(&value.replace(['\r', '\n'], " "));
        put("\n");
    }
    match &message.data {
        Some(data) => {
            put("Data\n");
            out.extend_from_slice(data);
        }
        None => put("EndMessage\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Message>, Malformed> {
        let mut codec = Codec::default();
        let mut input = BytesMut::new();
        let mut messages = Vec::new();
        // One byte at a time: nothing depends on how the bytes come.
        for &byte in bytes {
            input.extend_from_slice(&[byte]);
            while let Some(message) = codec.decode(&mut input)? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    #[test]
    fn messages_are_read_however_they_come() {
        let text = b"\n\r\nClientHello\nName=x\r\nExpectedVersion=2.0\nEndMessage\nClientPut\nURI=KSK@a\nNote==Z3LDvMOf\nDataLength=5\nData\nab\ncdVoid\nEnd\n";
        let messages = all(text).expect("they can be read");
        assert_eq!(messages.iter().map(|message| message.name.as_str()).collect::<Vec<_>>(), ["ClientHello", "ClientPut", "Void"]);
        assert_eq!(messages[0].field("Name"), Some("x"));
        assert_eq!(messages[1].field("Note"), Some("grüß"));
        assert_eq!(messages[1].data.as_deref(), Some(&b"ab\ncd"[..]));
    }

    #[test]
    fn a_directory_has_the_payload_of_all_its_files() {
        let text = b"ClientPutComplexDir\nFiles.0.UploadFrom=direct\nFiles.0.DataLength=2\nFiles.1.DataLength=3\nData\nabcde";
        assert_eq!(all(text).expect("it can be read")[0].data.as_deref(), Some(&b"abcde"[..]));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for text in [
            &b"X\nnonsense\n"[..],
            b"X\nData\n",
            b"X\nDataLength=-1\nData\n",
            b"X\nDataLength=99999999999\nData\n",
            &[b'a'; 5000],
            b"X\na==*\n",
        ] {
            assert!(all(text).is_err());
        }
        let message = Message::new("X").with("a", "b\nEndMessage");
        let mut out = BytesMut::new();
        write(&message, &mut out);
        assert_eq!(&out[..], b"X\na=b EndMessage\nEndMessage\n");
    }
}
