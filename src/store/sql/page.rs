//! What has ended, read in pages.

/// How many sessions, and how many floors, one statement reads.
pub(super) const PAGE: u32 = 10_000;

/// How far the reading has come.
pub(super) struct Page {
    pub(super) sessions: Cursor,
    pub(super) floors: Cursor,
}

/// The last that was read, and how many were since the page was turned.
pub(super) struct Cursor {
    pub(super) moment: i64,
    pub(super) key: Vec<u8>,
    count: u32,
}

impl Page {
    /// Everything of this moment or later: no key is less than the empty one.
    pub(super) fn since(moment: i64) -> Self {
        let cursor = || Cursor { moment, key: Vec::new(), count: 0 };
        Self { sessions: cursor(), floors: cursor() }
    }

    /// Takes note of a row.
    pub(super) fn read(&mut self, moment: i64, key: &[u8], is_floor: bool) {
        let cursor = if is_floor { &mut self.floors } else { &mut self.sessions };
        // The rows of a part come in their order, which the whole answer need not have.
        if (moment, key) > (cursor.moment, cursor.key.as_slice()) {
            (cursor.moment, cursor.key) = (moment, key.to_vec());
        }
        cursor.count += 1;
    }

    /// Goes on behind what was read; `false` where that was all.
    pub(super) fn turn(&mut self) -> bool {
        let is_full = |cursor: &Cursor| cursor.count >= PAGE;
        let is_more = is_full(&self.sessions) || is_full(&self.floors);
        for cursor in [&mut self.sessions, &mut self.floors] {
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
    fn a_part_that_has_been_read_is_not_read_again() {
        let mut page = Page::since(7);
        for n in 0..PAGE {
            page.read(8, &n.to_be_bytes(), false);
        }
        page.read(9, b"ada", true);
        assert!(page.turn());
        assert_eq!((page.sessions.moment, page.floors.moment), (8, i64::MAX));
        assert_eq!(page.sessions.key, (PAGE - 1).to_be_bytes());
        page.read(9, b"x", false);
        assert!(!page.turn());
    }
}
