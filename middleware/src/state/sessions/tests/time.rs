//! How long a session lives.

use super::*;

#[test]
fn a_session_ends_if_it_is_not_used_and_after_its_lifetime() {
    for at in 0..3 {
        let clock = Clock::new();
        let (kind, sessions) = kinds(&clock).remove(at);
        let mut user = browser(sessions);
        user.get("/set?a");
        // Used each week: its cookie and its time start anew.
        for week in 1..=12 {
            clock.wait(7 * DAY);
            let (text, set) = user.get("/get");
            assert_eq!(text, "a", "{kind}");
            // In the last week there is no more time to begin anew.
            assert_eq!(set.is_some(), week < 12, "{kind} {week}");
        }
        // Day 84 of 90: it has less than 14 days.
        clock.wait(5 * DAY);
        assert_eq!(user.text("/get"), "a", "{kind}");
        clock.wait(DAY);
        assert_eq!(user.text("/get"), "none", "{kind}");

        let (kind, sessions) = kinds(&clock).remove(at);
        let mut user = browser(sessions);
        user.get("/set?a");
        clock.wait(14 * DAY - 1);
        let mut copy = Browser::new(&user.client);
        copy.cookie = user.cookie.clone();
        assert_eq!(copy.text("/get"), "a", "{kind}");
        let mut user = Browser::new(&user.client);
        user.get("/set?b");
        clock.wait(14 * DAY);
        assert_eq!(user.text("/get"), "none", "{kind}");
    }
}

#[test]
fn a_session_that_is_renewed_lives_anew() {
    for at in 0..3 {
        let clock = Clock::new();
        let (kind, sessions) = kinds(&clock).remove(at);
        let mut user = browser(sessions.idle(Duration::MAX));
        user.get("/set?a");
        clock.wait(89 * DAY);
        assert_eq!(user.text("/renew"), "a", "{kind}");
        clock.wait(89 * DAY);
        assert_eq!(user.text("/get"), "a", "{kind}");
        clock.wait(DAY);
        assert_eq!(user.text("/get"), "none", "{kind}");
    }
}
