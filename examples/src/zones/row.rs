//! One row of `zone1970.tab`: countries, coordinates, name, comment, separated by tabs.

use super::Zone;

/// A column that does not have its form.
#[derive(Debug)]
pub(super) struct Fault {
    /// From 1.
    pub(super) column: usize,
    pub(super) expected: &'static str,
    pub(super) found: String,
}

const COUNTRIES: usize = 1;
const COORDINATES: usize = 2;
pub(super) const NAME: usize = 3;
const COMMENT: usize = 4;

/// Reads a row that is neither a comment nor ended by a line break.
pub(super) fn parse(line: &str) -> Result<Zone, Fault> {
    let mut columns = line.split('\t');
    let countries = countries(columns.next().unwrap_or_default())?;
    let coordinates_text =
        columns.next().ok_or_else(|| missing(COORDINATES, "coordinates after a tab"))?;
    let (lat, lon) = coordinates(coordinates_text)?;
    let name =
        columns.next().ok_or_else(|| missing(NAME, "the name of a time zone after a tab"))?;
    if !is_name(name) {
        return Err(fault(NAME, "a time zone name such as Europe/Berlin", name));
    }
    let comment = columns.next();
    if comment == Some("") {
        return Err(fault(COMMENT, "a comment, or no tab before it", ""));
    }
    if let Some(extra) = columns.next() {
        return Err(fault(COMMENT + 1, "at most four columns, hence nothing", extra));
    }
    Ok(Zone { name: name.to_owned(), countries, lat, lon, comment: comment.map(str::to_owned) })
}

/// `text` in backquotes, cut to a length that fits a message, harmless on a terminal.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 40;
    if text.is_empty() {
        return "nothing".to_owned();
    }
    let cut: String = text.chars().take(LONGEST).collect();
    let rest = if cut.len() < text.len() { "…" } else { "" };
    format!("`{}{rest}`", cut.escape_debug())
}

fn countries(text: &str) -> Result<Vec<String>, Fault> {
    let mut codes: Vec<String> = Vec::new();
    for code in text.split(',') {
        if code.len() != 2 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
            let expected = "country codes of two capital letters, separated by commas";
            return Err(fault(COUNTRIES, expected, text));
        }
        if codes.iter().any(|known| known == code) {
            return Err(fault(COUNTRIES, "each country code once", text));
        }
        codes.push(code.to_owned());
    }
    Ok(codes)
}

/// ISO 6709 in one of the two lengths that the table allows.
fn coordinates(text: &str) -> Result<(f64, f64), Fault> {
    let expected = "coordinates as ±DDMM±DDDMM or ±DDMMSS±DDDMMSS";
    let at = match text.len() {
        11 => 5,
        15 => 7,
        _ => return Err(fault(COORDINATES, expected, text)),
    };
    let (lat, lon) = text.split_at_checked(at).ok_or_else(|| fault(COORDINATES, expected, text))?;
    let lat = angle(lat, 2).ok_or_else(|| fault(COORDINATES, expected, text))?;
    let lon = angle(lon, 3).ok_or_else(|| fault(COORDINATES, expected, text))?;
    let checked = |angle: Angle, limit, name| {
        angle.degrees_within(limit).ok_or_else(|| fault(COORDINATES, name, text))
    };
    Ok((
        checked(lat, 90, "a latitude of at most 90 degrees, minutes and seconds below 60")?,
        checked(lon, 180, "a longitude of at most 180 degrees, minutes and seconds below 60")?,
    ))
}

#[derive(Clone, Copy)]
struct Angle {
    negative: bool,
    degrees: u32,
    minutes: u32,
    seconds: u32,
}

impl Angle {
    fn degrees_within(self, limit: u32) -> Option<f64> {
        let seconds = self.degrees * 3600 + self.minutes * 60 + self.seconds;
        if self.minutes >= 60 || self.seconds >= 60 || seconds > limit * 3600 {
            return None;
        }
        let degrees = f64::from(seconds) / 3600.0;
        Some(if self.negative { -degrees } else { degrees })
    }
}

/// A sign, `width` digits of degrees, two of minutes, and two of seconds or none.
fn angle(text: &str, width: usize) -> Option<Angle> {
    let negative = match text.as_bytes().first()? {
        b'+' => false,
        b'-' => true,
        _ => return None,
    };
    let digits = text.get(1..)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.get(width + 2..)?;
    Some(Angle {
        negative,
        degrees: digits.get(..width)?.parse().ok()?,
        minutes: digits.get(width..width + 2)?.parse().ok()?,
        seconds: if seconds.is_empty() { 0 } else { seconds.parse().ok()? },
    })
}

fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+');
    text.split('/').all(|part| !part.is_empty() && part.bytes().all(plain))
}

fn fault(column: usize, expected: &'static str, found: &str) -> Fault {
    Fault { column, expected, found: excerpt(found) }
}

fn missing(column: usize, expected: &'static str) -> Fault {
    Fault { column, expected, found: "the end of the line".to_owned() }
}
