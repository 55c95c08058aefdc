//! What counts as a word of a name: runs of letters and digits in lower case, longer than one letter.

/// Most words of one name that are looked at.
pub const WORDS_MAX: usize = 16;

/// The words of a name, each once, in the order in which they stand.
pub fn words_of(name: &str) -> impl Iterator<Item = String> {
    let mut words: Vec<String> = Vec::new();
    for word in name.split(|character: char| !character.is_alphanumeric()) {
        let word = word.to_lowercase();
        if word.chars().nth(1).is_some() && words.len() < WORDS_MAX && !words.contains(&word) {
            words.push(word);
        }
    }
    words.into_iter()
}

/// Whether all `words` occur in `name`.
#[must_use]
pub fn has_all(name: &str, words: &[String]) -> bool {
    let own: Vec<String> = words_of(name).collect();
    words.iter().all(|word| own.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_falls_into_words() {
        let words: Vec<String> = words_of("Größe & a-Blue_Train (1957).OGG blue").collect();
        assert_eq!(words, ["größe", "blue", "train", "1957", "ogg"]);
        assert!(has_all("Blue Train.ogg", &["train".into(), "blue".into()]));
        assert!(!has_all("Blue Train.ogg", &["rain".into()]));
    }
}
