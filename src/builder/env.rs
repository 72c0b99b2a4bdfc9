//! Environment variables: how durations, lists, switches, secrets and files are written in them.
//!
//! The names of the variables are in the files of their settings.

use std::{path::Path, time::Duration};

use zeroize::Zeroizing;

use crate::{secret::Secret, token::keys::Key};

/// Looks up a variable by its whole name.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<Result<String, std::ffi::OsString>>;

/// Reads variables one by one. Keeps the first problem of each for `build()`.
pub(super) struct Environment<'a> {
    prefix: &'a str,
    variables: Variables<'a>,
    problems: Vec<String>,
}

impl<'a> Environment<'a> {
    /// Reads variables whose names begin with `prefix`.
    pub(super) fn new(prefix: &'a str, variables: Variables<'a>) -> Self {
        Self { prefix, variables, problems: Vec::new() }
    }

    /// Returns the number of problems so far.
    pub(super) fn problems(&self) -> usize {
        self.problems.len()
    }

    pub(super) fn into_problems(self) -> Vec<String> {
        self.problems
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        if let Ok(text) = (self.variables)(&format!("{}{name}", self.prefix))? {
            return Some(text).filter(|text| !bare(text).is_empty());
        }
        self.problems.push(format!("{}{name} is not UTF-8", self.prefix));
        None
    }

    pub(super) fn parsed<T>(&mut self, name: &str, usage: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        let parsed = parse(bare(&text));
        if parsed.is_none() {
            self.problems.push(format!("{}{name} is {text:?}: {usage}", self.prefix));
        }
        parsed
    }

    pub(super) fn duration(&mut self, name: &str, into: &mut Duration) {
        if let Some(duration) = self.parsed(name, "use a number and ms, s, m, h or d, such as 15m", parse_duration) {
            *into = duration;
        }
    }

    /// Reads a text in which each byte counts. Removes only one line break at its end, which comes
    /// from a file.
    pub(super) fn exact(&mut self, name: &str) -> Option<String> {
        let mut text = self.text(name)?;
        let ends = [text.strip_suffix("\r\n"), text.strip_suffix('\n'), text.strip_suffix('\r')];
        let end = ends.into_iter().flatten().next().map_or(text.len(), str::len);
        text.truncate(end);
        if bare(&text).len() < text.len() {
            // The value is not repeated, because it may be a secret.
            self.problems.push(format!(
                "{}{name} begins or ends with white space or a byte order mark: remove it where the variable is set",
                self.prefix
            ));
        }
        Some(text)
    }

    pub(super) fn secret(&mut self, name: &str) -> Option<Secret<Vec<u8>>> {
        self.exact(name).map(Secret::from)
    }

    pub(super) fn secrets(&mut self, name: &str) -> Vec<Secret<Vec<u8>>> {
        let list = self.text(name).map(Zeroizing::new).unwrap_or_default();
        items(&list).map(Secret::from).collect()
    }

    pub(super) fn key_files(&mut self, name: &str, paths: impl FnOnce(&str) -> Vec<&str>) -> Vec<Key> {
        let list = self.text(name).unwrap_or_default();
        let paths = paths(&list).into_iter().map(bare).filter(|path| !path.is_empty());
        let mut keys = Vec::new();
        for (at, path) in paths.enumerate() {
            match Key::from_unnamed_file(Path::new(path)) {
                Ok(key) => keys.push(key),
                // The value is not repeated, because it may be the key itself.
                Err(error) => self.problems.push(format!("{}{name}, path {}: {error}", self.prefix, at + 1)),
            }
        }
        keys
    }
}

pub(super) fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(bare).filter(|item| !item.is_empty())
}

/// Removes the white space around a text, and the byte order mark that editors on Windows put
/// before it.
fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

pub(super) fn parse_switch(text: &str) -> Option<bool> {
    match text {
        "1" | "true" | "on" => Some(true),
        "0" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// A whole number and its unit.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let millis = match unit.trim_start() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// Reads settings from these variables, below the prefix `APP_`, and returns the problems.
#[cfg(test)]
pub(super) fn read_pairs(pairs: &[(&str, &str)], read: impl FnOnce(&mut Environment<'_>)) -> Vec<String> {
    let variables = |name: &str| {
        let value = pairs.iter().find(|pair| format!("APP_{}", pair.0) == name).map(|pair| pair.1.to_owned());
        value.map(Ok)
    };
    let mut env = Environment::new("APP_", &variables);
    read(&mut env);
    env.into_problems()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(parse_duration("15m"), Some(Duration::from_secs(900)));
        assert_eq!(parse_duration("7d"), Some(Duration::from_secs(604_800)));
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("0s"), Some(Duration::ZERO));
        for bad in ["", "15", "m", "-1s", "1.5h", "15 minutes", "99999999999999999999d", "213503982335d", "１m"] {
            assert_eq!(parse_duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn one_line_break_at_the_end_is_not_counted() {
        for end in ["", "\n", "\r\n", "\r"] {
            let with = |text: &str| format!("{text}{end}");
            let (secret, text) = (with("a secret"), with("https://example.com"));
            let (list, time) = (with("one, two\t,\n three"), with(" 5m"));
            let pairs = [("SECRET", &*secret), ("TEXT", &text), ("LIST", &list), ("TIME", &time)];
            let mut lifetime = Duration::ZERO;
            let problems = read_pairs(&pairs, |env| {
                assert_eq!(env.secret("SECRET").unwrap().expose(), b"a secret", "{end:?}");
                assert_eq!(env.exact("TEXT").as_deref(), Some("https://example.com"), "{end:?}");
                let list: Vec<_> = env.secrets("LIST").iter().map(|secret| secret.expose().clone()).collect();
                assert_eq!(list, [&b"one"[..], b"two", b"three"], "{end:?}");
                env.duration("TIME", &mut lifetime);
            });
            assert_eq!(lifetime, Duration::from_secs(300), "{end:?}");
            assert_eq!(problems, Vec::<String>::new(), "{end:?}");
        }
    }
}
