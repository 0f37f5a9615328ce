//! Checks the database: whether it is reachable, durable, of this version and complete.

use super::Finding;
use crate::clock::SystemClock;
use crate::config::Config;
use domain::upkeep::Evidence;
use domain::{Clock as _, Timestamp};
use infra_diesel::{Doubled, Inspection, Store};

/// How far two clocks may differ, in microseconds: tokens allow five seconds.
const CLOCKS_APART: i64 = 5_000_000;

/// The findings, and whether the tables are readable.
pub struct Database {
    pub findings: Vec<Finding>,
    pub is_readable: bool,
}

/// Checks the configured database.
pub async fn examine(config: &Config) -> Database {
    const CHECK: &str = "database";
    let url = &config.database_url;
    let shown = Store::redacted(url);
    let examined = match Store::inspect(url).await {
        Ok(Some(examined)) => examined,
        Ok(None) => {
            let finding = Finding::ok(CHECK, format!("{shown} is not there yet: the first start makes it"));
            return Database { findings: vec![finding], is_readable: false };
        }
        Err(error) => {
            let finding = Finding::wrong(CHECK, format!("{shown}: {:#}", anyhow::Error::new(error)));
            return Database { findings: vec![finding], is_readable: false };
        }
    };
    let mut findings = vec![Finding::ok(CHECK, format!("{shown} answers: {}", examined.version))];
    findings.extend((!examined.takes_writes).then(|| {
        let advice = "its file is read-only, or this Postgres is a standby or read-only \
                      (default_transaction_read_only): no server starts";
        Finding::wrong("writes", format!("{shown} takes no writes: {advice}"))
    }));
    findings.push(judge_durability(&examined.unsafe_settings, config.allow_unsafe_durability));
    findings.extend(examined.other_language.as_deref().map(judge_language));
    findings.push(judge_migrations(&examined));
    let now = SystemClock.now();
    findings.push(judge_clocks(now, examined.now, examined.newest));
    findings.extend(judge_trust(now, Evidence { believed: examined.believed, newest: examined.newest, doubts: 0 }));
    let is_readable = !examined.is_older && !examined.is_unfinished;
    if is_readable {
        findings.push(contents(url).await);
        findings.push(names(url).await);
    }
    Database { findings, is_readable }
}

fn judge_durability(unsafe_settings: &[&str], allowed: bool) -> Finding {
    const CHECK: &str = "durability";
    let off = unsafe_settings.join(" and ");
    match (unsafe_settings, allowed) {
        ([], _) => Finding::ok(CHECK, "a commit is on disk before the server acknowledges it"),
        (["full_page_writes"], _) => {
            Finding::warning(CHECK, "full_page_writes is off: a crash of the machine may tear pages; turn it on")
        }
        (_, true) => Finding::warning(
            CHECK,
            format!("{off} off, as --allow-unsafe-durability allows: the server may lose acknowledged messages"),
        ),
        (_, false) => Finding::wrong(
            CHECK,
            format!("{off} off: a server could lose acknowledged messages, and none starts; turn it on"),
        ),
    }
}

fn judge_language(lc_messages: &str) -> Finding {
    let advice = "the server does not understand its errors and reports them as internal ones: as a superuser, run \
                  ALTER ROLE ... SET lc_messages = 'C' for the role of the URL";
    Finding::warning("language", format!("lc_messages is {lc_messages}: {advice}"))
}

fn judge_migrations(examined: &Inspection) -> Finding {
    const CHECK: &str = "migrations";
    if examined.is_unfinished {
        return Finding::wrong(CHECK, "this is an unfinished copy: run `parlance copy` again");
    }
    if !examined.unknown.is_empty() {
        let unknown = examined.unknown.join(", ");
        return Finding::wrong(CHECK, format!("a newer parlance has migrated it ({unknown}): use that version"));
    }
    if examined.is_older {
        return Finding::warning(CHECK, "some have not run yet: the next start runs them, or `parlance migrate`");
    }
    Finding::ok(CHECK, "the tables are up to date")
}

fn judge_clocks(now: Timestamp, theirs: Option<Timestamp>, newest: Option<Timestamp>) -> Finding {
    const CHECK: &str = "clock";
    let ahead = |other: Option<Timestamp>| other.map_or(0, |other| other.as_micros() - now.as_micros());
    let seconds = |micros: i64| micros / 1_000_000;
    let (database, message) = (ahead(theirs), ahead(newest));
    if message > CLOCKS_APART {
        let by = seconds(message);
        return Finding::wrong(
            CHECK,
            format!("the newest message is {by} s in the future: set this machine's clock (NTP)"),
        );
    }
    if database.abs() > CLOCKS_APART {
        let by = seconds(database.abs());
        return Finding::warning(CHECK, format!("this machine and the database differ by {by} s: run NTP on both"));
    }
    Finding::ok(CHECK, "agrees with the database's, and no message is in the future")
}

/// Whether a server that starts now would trust its clock.
fn judge_trust(now: Timestamp, evidence: Evidence) -> Option<Finding> {
    let days = evidence.contradicts(now)? / 86_400_000_000;
    let advice = "a server deletes nothing because of its age until it has run for a day; check this machine's clock";
    Some(Finding::warning("clock trust", format!("no server has run here for {days} days: {advice}")))
}

async fn contents(url: &str) -> Finding {
    const CHECK: &str = "contents";
    match Store::check(url).await {
        Ok(faults) if faults.is_empty() => Finding::ok(CHECK, "counters, watermarks and memberships are right"),
        Ok(faults) => Finding::wrong(CHECK, format!("{}: restore a backup, and report this", faults.join("; "))),
        Err(error) => Finding::wrong(CHECK, format!("{:#}", anyhow::Error::new(error))),
    }
}

async fn names(url: &str) -> Finding {
    const CHECK: &str = "names";
    match Store::doubled_names(url).await {
        Ok(doubled) => judge_names(&doubled),
        Err(error) => Finding::wrong(CHECK, format!("{:#}", anyhow::Error::new(error))),
    }
}

fn judge_names(doubled: &Doubled) -> Finding {
    const CHECK: &str = "names";
    let list = |ids: Vec<String>| ids.join(", ");
    let groups = list(doubled.groups.iter().map(ToString::to_string).collect());
    let users = list(doubled.addresses.iter().map(ToString::to_string).collect());
    let mut said = Vec::new();
    if !doubled.groups.is_empty() {
        said.push(format!(
            "groups with a number behind their names, since an older group has the same name in another spelling: {groups}"
        ));
    }
    if doubled.addresses.is_empty() {
        said.push("no two users share an email address".to_owned());
        return Finding::ok(CHECK, said.join("; "));
    }
    said.push(format!(
        "users who should set another email address, since an older user has the same one in another spelling: {users}"
    ));
    Finding::warning(CHECK, said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{Ok as Fine, Warning, Wrong};
    use super::*;
    use domain::{GroupId, UserId};
    use uuid::Uuid;

    #[test]
    fn settings_that_lose_answers_are_told() {
        for (settings, allowed, verdict) in [
            (&[][..], false, Fine),
            (&["fsync"], false, Wrong),
            (&["fsync", "full_page_writes"], true, Warning),
            (&["full_page_writes"], false, Warning),
        ] {
            assert_eq!(judge_durability(settings, allowed).verdict, verdict, "{settings:?}");
        }
    }

    #[test]
    fn names_that_were_doubled_are_told() {
        let (user, group) = (UserId(Uuid::from_u128(1)), GroupId(Uuid::from_u128(2)));
        assert_eq!(judge_names(&Doubled::default()).verdict, Fine);
        let groups = judge_names(&Doubled { groups: vec![group], ..Doubled::default() });
        assert!(groups.verdict == Fine && groups.says.contains(&group.to_string()));
        let addresses = judge_names(&Doubled { addresses: vec![user], groups: vec![group] });
        assert!(addresses.verdict == Warning && addresses.says.contains(&user.to_string()));
    }

    #[test]
    fn tables_of_another_version_are_told() {
        let good = Inspection {
            version: String::new(),
            takes_writes: true,
            unsafe_settings: Vec::new(),
            other_language: None,
            is_older: false,
            unknown: Vec::new(),
            is_unfinished: false,
            now: None,
            newest: None,
            believed: None,
        };
        assert_eq!(judge_migrations(&good).verdict, Fine);
        assert_eq!(judge_migrations(&Inspection { is_older: true, ..good.clone() }).verdict, Warning);
        assert_eq!(judge_migrations(&Inspection { is_unfinished: true, ..good.clone() }).verdict, Wrong);
        assert_eq!(judge_migrations(&Inspection { unknown: vec!["2099".to_owned()], ..good }).verdict, Wrong);
    }

    #[test]
    fn clocks_that_differ_are_told() {
        let at = |seconds: i64| Timestamp::from_micros(1_000_000_000_000 + seconds * 1_000_000);
        let now = at(0).unwrap();
        for (theirs, newest, verdict) in [
            (None, None, Fine),
            (at(-4), at(-90), Fine),
            (at(-6), None, Warning),
            (at(6), at(-1), Warning),
            (None, at(4), Fine),
            (at(0), at(6), Wrong),
        ] {
            assert_eq!(judge_clocks(now, theirs, newest).verdict, verdict, "{theirs:?} {newest:?}");
        }
    }
}
