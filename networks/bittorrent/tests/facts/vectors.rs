//! Reads the files of `vectors/`; its README tells the format.

/// One golden message.
pub struct Vector {
    /// What it is.
    pub name: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Writing the message again gives these very bytes.
    pub canonical: bool,
    /// How the message looks when it is debugged.
    pub reading: String,
}

/// All messages of a file.
pub fn vectors(text: &str) -> Vec<Vector> {
    let mut vectors = Vec::new();
    let mut lines = text.lines().filter(|line| !line.is_empty());
    while let Some(head) = lines.next() {
        let (mark, name) = head.split_at(2);
        assert!(mark == "= " || mark == "~ ", "{head}");
        let (name, source) = name.split_once(" | ").expect("a name and a source");
        assert!(!source.is_empty(), "{name} must say where it comes from");
        let bytes = read_bytes(lines.next().expect("bytes"));
        let reading = lines.next().and_then(|line| line.strip_prefix("> ")).expect("a reading").to_owned();
        vectors.push(Vector { name: name.to_owned(), bytes, canonical: mark == "= ", reading });
    }
    vectors
}

fn read_bytes(line: &str) -> Vec<u8> {
    let Some(text) = line.strip_prefix('"') else {
        let digits: String = line.split_whitespace().collect();
        return hex(&digits);
    };
    let mut bytes = Vec::new();
    let mut rest = text.strip_suffix('"').expect("a closing quote").bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().expect("an escape") {
                b'r' => b'\r',
                b'n' => b'\n',
                b'x' => hex(&[rest.next().unwrap() as char, rest.next().unwrap() as char].iter().collect::<String>())[0],
                other => other,
            },
            byte => byte,
        });
    }
    bytes
}

/// The bytes that hex digits stand for.
pub fn hex(digits: &str) -> Vec<u8> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).expect(digits)
}

/// Compares all readings of a file at once.
pub fn check_readings(read: impl Fn(&Vector) -> String, text: &str) {
    let wrong: Vec<String> = vectors(text)
        .iter()
        .filter_map(|vector| {
            let came = with_ids_as_text(&read(vector));
            (came != vector.reading).then(|| format!("{}\t{came}", vector.name))
        })
        .collect();
    assert!(wrong.is_empty(), "read otherwise than the vectors say:\n{}", wrong.join("\n"));
}

/// A debugged value with its lists of 20 bytes (ids, hashes) as text.
fn with_ids_as_text(debugged: &str) -> String {
    let mut out = String::new();
    let mut rest = debugged;
    while let Some(start) = rest.find('[') {
        let (before, list) = rest.split_at(start);
        out.push_str(before);
        let end = list.find(']').map_or(list.len(), |end| end + 1);
        let bytes: Option<Vec<u8>> = list[1..end - 1].split(", ").map(|byte| byte.parse().ok()).collect();
        match bytes {
            Some(id) if id.len() == 20 => {
                out.push_str(&format!("b\"{}\"", id.escape_ascii()));
                rest = &list[end..];
            }
            _ => {
                out.push('[');
                rest = &list[1..];
            }
        }
    }
    out + rest
}

/// What must hold of a golden datagram or text: its reading, the way back, and that no shorter part of it makes the reader fall over.
pub fn check_messages<M: std::fmt::Debug + PartialEq, E>(text: &str, decode: impl Fn(&[u8]) -> Result<M, E>, encode: impl Fn(&M) -> Vec<u8>)
where
    E: std::fmt::Debug,
{
    let read = |bytes: &[u8]| decode(bytes).unwrap_or_else(|wrong| panic!("{wrong:?} in {}", bytes.escape_ascii()));
    check_readings(|vector| format!("{:?}", read(&vector.bytes)), text);
    for vector in vectors(text) {
        let message = read(&vector.bytes);
        let written = encode(&message);
        assert_eq!(read(&written), message, "{}: written and read again", vector.name);
        if vector.canonical {
            assert_eq!(written.escape_ascii().to_string(), vector.bytes.escape_ascii().to_string(), "{}", vector.name);
        }
        for length in 0..vector.bytes.len() {
            let _ = decode(&vector.bytes[..length]);
        }
    }
}
