//! [`Page`]: where the reading of what has ended goes on.

/// The number of sessions, and the number of users with a raised version, that one statement reads.
pub(super) const PAGE: u32 = 10_000;

/// Where the reading goes on, in the sessions that ended and in the users whose versions were
/// raised.
pub(super) struct Page {
    pub(super) sessions: Cursor,
    pub(super) users: Cursor,
}

/// The last record that was read, and the number of records of this page.
pub(super) struct Cursor {
    pub(super) moment: i64,
    pub(super) key: Vec<u8>,
    count: u32,
}

impl Page {
    /// Begins with the records of this moment. The empty key comes before all others.
    pub(super) fn since(moment: i64) -> Self {
        let cursor = || Cursor { moment, key: Vec::new(), count: 0 };
        Self { sessions: cursor(), users: cursor() }
    }

    /// Notes that a record was read.
    pub(super) fn read(&mut self, moment: i64, key: &[u8], is_user: bool) {
        let cursor = if is_user { &mut self.users } else { &mut self.sessions };
        // Each part comes in its order. The whole answer may have another.
        if (moment, key) > (cursor.moment, cursor.key.as_slice()) {
            (cursor.moment, cursor.key) = (moment, key.to_vec());
        }
        cursor.count += 1;
    }

    /// Goes on after the records that were read. Returns `false` where they were the last.
    pub(super) fn turn(&mut self) -> bool {
        let is_full = |cursor: &Cursor| cursor.count >= PAGE;
        let is_more = is_full(&self.sessions) || is_full(&self.users);
        for cursor in [&mut self.sessions, &mut self.users] {
            if !is_full(cursor) {
                cursor.moment = i64::MAX;
            }
            cursor.count = 0;
        }
        is_more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_was_read_whole_is_not_read_again() {
        let mut page = Page::since(7);
        for n in 0..PAGE {
            page.read(8, &n.to_be_bytes(), false);
        }
        page.read(9, b"ada", true);
        assert!(page.turn());
        assert_eq!((page.sessions.moment, page.users.moment), (8, i64::MAX));
        assert_eq!(page.sessions.key, (PAGE - 1).to_be_bytes());
        page.read(9, b"x", false);
        assert!(!page.turn());
    }
}
