//! Names of files as people have them: few words that everybody uses, and many that hardly anybody does.

use hexad_core::Dice;

/// Different words.
const WORDS: usize = 60_000;

/// Makes names, and remembers some of them to search for.
pub struct Names {
    dice: Dice,
    words: Vec<String>,
    /// Whose album the files are of.
    band: [usize; 2],
    /// Words of titles that exist.
    pub titles: Vec<[usize; 2]>,
}

impl Names {
    pub fn new() -> Self {
        let mut dice = Dice::counter(20_000_601, 0);
        let words = (0..WORDS).map(|number| word(number, &mut dice)).collect();
        Self { dice, words, band: [0; 2], titles: Vec::new() }
    }

    /// The rank of a word, by Zipf's law with exponent 1: equal shares for equal ratios of ranks.
    fn rank(&mut self) -> usize {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank below the number of words"
        )]
        let rank = {
            let share = self.dice.below(1 << 53) as f64 / (1_u64 << 53) as f64;
            (WORDS as f64).powf(share) as usize
        };
        rank.min(WORDS) - 1
    }

    /// A path such as `C:\Music\Some Band\Some Band - 07 - A Nice Title.mp3`. Ten files after each other are of one album; one in eight has a word
    /// that nobody else has, as typing errors and numbers of releases are.
    pub fn path(&mut self, number: usize) -> String {
        if number.is_multiple_of(10) {
            self.band = [self.rank(), self.rank()];
        }
        let (band, title) = (self.band, [self.rank(), self.rank(), self.rank()]);
        // What is searched for is as common as what is shared.
        if number.is_multiple_of(16) {
            self.titles.push([band[1], title[0]]);
            self.titles.push([title[1], title[2]]);
        }
        let [a, b] = band.map(|rank| self.words[rank].as_str());
        let [c, d, e] = title.map(|rank| self.words[rank].as_str());
        let odd = if number.is_multiple_of(8) { format!(" x{number}") } else { String::new() };
        format!("C:\\Music\\{a} {b}\\{a} {b} - {:02} - {c} {d} {e}{odd}.mp3", number % 100)
    }

    /// The words that most files have, and a bitrate that none has: as much work as one search can make.
    pub fn bomb(&self, count: usize) -> String {
        format!("FILENAME CONTAINS \"mp3 {}\" BITRATE \"AT LEAST\" 999 MAX_RESULTS 20", self.words[..count].join(" "))
    }

    /// Two words that some file has.
    pub fn query(&self, title: usize) -> String {
        let [a, b] = self.titles[title % self.titles.len()];
        format!("FILENAME CONTAINS \"{} {}\" MAX_RESULTS 20", self.words[a], self.words[b])
    }
}

/// A word of letters that belongs to that rank alone.
fn word(number: usize, dice: &mut Dice) -> String {
    const FIRST: [&str; 16] = ["b", "br", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "w"];
    const THEN: [&str; 8] = ["a", "e", "i", "o", "u", "ai", "ea", "oo"];
    let mut text = String::new();
    let mut rest = number;
    loop {
        text.push_str(FIRST[rest % 16]);
        rest /= 16;
        text.push_str(THEN[rest % 8]);
        rest /= 8;
        if rest == 0 {
            break;
        }
    }
    if dice.below(3) == 0 {
        text.push('n');
    }
    text
}
