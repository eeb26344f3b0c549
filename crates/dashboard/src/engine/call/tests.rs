//! The call's transitions by example, then the promises that hold for every history.

use super::*;
use proptest::prelude::*;

const T0: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const TIMINGS: Timings = Timings { join: Duration::seconds(30), reconnect_grace: Duration::seconds(15) };

fn at(seconds: i64) -> OffsetDateTime {
    T0 + Duration::seconds(seconds)
}

fn placed() -> Call {
    Call {
        id: CallId::generate(),
        caller: UserId::generate(),
        callee: UserId::generate(),
        status: Status::Initiated,
        ring_timeout: Duration::seconds(45),
        created_at: T0,
        ringing_at: None,
        accepted_at: None,
        answered_at: None,
        ended_at: None,
        end_reason: None,
        hangup_at: None,
        caller_presence: Presence::Never,
        callee_presence: Presence::Never,
    }
}

fn joined(party: Party, session: &str) -> Fact {
    Fact::Joined { party, session: session.to_owned() }
}

fn left(party: Party, session: &str) -> Fact {
    Fact::Left { party, session: session.to_owned() }
}

fn active() -> Call {
    let mut call = placed();
    call.observe(joined(Party::Caller, "PA_1"), at(2));
    call.command(Command::Accept, Party::Callee, at(5)).unwrap();
    call.observe(joined(Party::Callee, "PA_2"), at(6));
    assert_eq!(call.status, Status::Active);
    call
}

#[test]
fn a_call_rings_when_the_caller_is_in_and_runs_when_both_are() {
    let mut call = placed();
    call.observe(joined(Party::Caller, "PA_1"), at(2));
    assert_eq!((call.status, call.ringing_at), (Status::Ringing, Some(at(2))));
    assert_eq!(call.next_deadline(&TIMINGS), Some(at(47)));
    call.command(Command::Accept, Party::Callee, at(5)).unwrap();
    assert_eq!(call.status, Status::Ringing, "a claim makes nothing active");
    call.observe(joined(Party::Callee, "PA_2"), at(6));
    assert_eq!(
        (call.status, call.answered_at, call.next_deadline(&TIMINGS)),
        (Status::Active, Some(at(6)), None)
    );
}

#[test]
fn hanging_up_completes_when_the_sfu_confirms() {
    let mut call = active();
    call.command(Command::End, Party::Callee, at(66)).unwrap();
    assert_eq!(call.status, Status::Active);
    assert!(call.room_must_close());
    call.observe(Fact::RoomEnded, at(67));
    assert_eq!((call.status, call.end_reason.as_deref()), (Status::Completed, Some("hung_up")));
    assert_eq!(call.duration_seconds(), Some(60));
}

#[test]
fn a_party_that_stays_away_ends_the_call_when_it_left() {
    let mut call = active();
    call.observe(left(Party::Caller, "PA_1"), at(20));
    call.tick(at(34), &TIMINGS);
    assert_eq!(call.status, Status::Active);
    call.tick(at(35), &TIMINGS);
    assert_eq!(
        (call.status, call.ended_at, call.duration_seconds()),
        (Status::Completed, Some(at(20)), Some(14))
    );
}

#[test]
fn a_reconnect_within_the_grace_keeps_the_call() {
    let mut call = active();
    call.observe(left(Party::Caller, "PA_1"), at(20));
    call.observe(joined(Party::Caller, "PA_3"), at(28));
    call.tick(at(100), &TIMINGS);
    assert_eq!(call.status, Status::Active);
}

#[test]
fn the_replaced_session_leaving_is_not_the_party_leaving() {
    let mut call = active();
    call.observe(joined(Party::Caller, "PA_3"), at(20));
    call.observe(left(Party::Caller, "PA_1"), at(20));
    assert!(call.caller_presence.is_present());
    call.observe(joined(Party::Caller, "PA_3"), at(21));
    call.observe(left(Party::Caller, "PA_3"), at(22));
    call.observe(joined(Party::Caller, "PA_3"), at(23));
    assert_eq!(call.caller_presence.away_since(), Some(at(22)), "a late join report is not a return");
}

#[test]
fn unanswered_calls_are_missed_and_unjoined_ones_fail() {
    let mut call = placed();
    call.tick(at(29), &TIMINGS);
    assert_eq!(call.status, Status::Initiated);
    call.tick(at(30), &TIMINGS);
    assert_eq!((call.status, call.end_reason.as_deref()), (Status::Failed, Some("caller_never_joined")));

    let mut call = placed();
    call.observe(joined(Party::Caller, "PA_1"), at(10));
    call.tick(at(54), &TIMINGS);
    assert_eq!(call.status, Status::Ringing);
    call.tick(at(55), &TIMINGS);
    assert_eq!((call.status, call.end_reason.as_deref()), (Status::Missed, Some("ring_timeout")));
    assert_eq!(call.duration_seconds(), None);
}

#[test]
fn accepting_stops_the_ringing_but_one_must_come() {
    let mut call = placed();
    call.observe(joined(Party::Caller, "PA_1"), at(1));
    call.command(Command::Accept, Party::Callee, at(45)).unwrap();
    call.tick(at(60), &TIMINGS);
    assert_eq!(call.status, Status::Ringing);
    call.tick(at(75), &TIMINGS);
    assert_eq!((call.status, call.end_reason.as_deref()), (Status::Failed, Some("callee_never_joined")));
}

#[test]
fn a_caller_who_leaves_while_ringing_is_missed_after_the_grace() {
    let mut call = placed();
    call.observe(joined(Party::Caller, "PA_1"), at(1));
    call.observe(left(Party::Caller, "PA_1"), at(5));
    assert_eq!(call.next_deadline(&TIMINGS), Some(at(20)));
    call.tick(at(20), &TIMINGS);
    assert_eq!((call.status, call.end_reason.as_deref()), (Status::Missed, Some("caller_left")));
}

#[test]
fn commands_are_refused_by_role_and_state_and_repeat_safely() {
    let mut call = placed();
    assert_eq!(call.command(Command::Accept, Party::Caller, at(1)), Err(Refusal::NotCallee));
    assert_eq!(call.command(Command::Decline, Party::Caller, at(1)), Err(Refusal::NotCallee));
    call.command(Command::Decline, Party::Callee, at(1)).unwrap();
    assert_eq!(call.status, Status::Declined);
    call.command(Command::Decline, Party::Callee, at(2)).unwrap();
    assert_eq!(call.ended_at, Some(at(1)));
    assert_eq!(call.command(Command::Accept, Party::Callee, at(2)), Err(Refusal::Over));
    call.command(Command::End, Party::Caller, at(3)).unwrap();
    assert_eq!(call.status, Status::Declined);

    let mut call = placed();
    call.command(Command::End, Party::Caller, at(4)).unwrap();
    assert_eq!((call.status, call.end_reason.as_deref()), (Status::Missed, Some("cancelled")));
    assert_eq!(active().command(Command::Decline, Party::Callee, at(9)), Err(Refusal::Active));
}

#[test]
fn a_snapshot_replaces_what_was_not_heard() {
    let mut call = placed();
    call.observe(Fact::Snapshot { caller: Some("PA_1".into()), callee: Some("PA_2".into()) }, at(9));
    assert_eq!((call.status, call.ringing_at, call.answered_at), (Status::Active, Some(at(9)), Some(at(9))));
    call.observe(Fact::Snapshot { caller: Some("PA_1".into()), callee: None }, at(20));
    assert_eq!(call.next_deadline(&TIMINGS), Some(at(35)));
    call.observe(Fact::Snapshot { caller: Some("PA_1".into()), callee: None }, at(30));
    call.tick(at(35), &TIMINGS);
    assert_eq!((call.status, call.ended_at), (Status::Completed, Some(at(20))));
}

#[test]
fn statuses_have_one_spelling() {
    for (status, name) in Status::ALL {
        assert_eq!((Status::parse(name), status.as_str()), (Some(status), name));
    }
    assert_eq!(Status::parse("gone"), None);
}

#[derive(Debug, Clone)]
enum Step {
    Fact(Fact),
    Command(Command, Party),
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    let party = || prop_oneof![Just(Party::Caller), Just(Party::Callee)];
    let session = || (0..4u8).prop_map(|n| format!("PA_{n}"));
    let seen = || prop_oneof![Just(None), session().prop_map(Some)];
    prop_oneof![
        (party(), session()).prop_map(|(party, session)| Step::Fact(Fact::Joined { party, session })),
        (party(), session()).prop_map(|(party, session)| Step::Fact(Fact::Left { party, session })),
        (seen(), seen()).prop_map(|(caller, callee)| Step::Fact(Fact::Snapshot { caller, callee })),
        Just(Step::Fact(Fact::RoomEnded)),
        prop_oneof![Just(Command::Accept), Just(Command::Decline), Just(Command::End)]
            .prop_flat_map(move |c| party().prop_map(move |p| Step::Command(c, p))),
        Just(Step::Tick),
    ]
}

fn rank(status: Status) -> u8 {
    match status {
        Status::Initiated => 0,
        Status::Ringing => 1,
        Status::Active => 2,
        _ => 3,
    }
}

proptest! {
    #[test]
    fn no_history_breaks_the_machine(steps in prop::collection::vec((step(), 0..20i64), 0..60)) {
        let mut call = placed();
        let mut now = T0;
        for (step, seconds) in steps {
            now += Duration::seconds(seconds);
            let before = call.clone();
            match step {
                Step::Fact(fact) => call.observe(fact, now),
                Step::Command(command, party) => {
                    let refused = call.command(command, party, now).is_err();
                    prop_assert!(!refused || call == before, "a refused command changes nothing");
                }
                Step::Tick => call.tick(now, &TIMINGS),
            }
            prop_assert!(rank(call.status) >= rank(before.status), "never backwards");
            prop_assert!(before.status.is_open() || call == before, "over is over");
            prop_assert_eq!(call.ended_at.is_none(), call.status.is_open());
            prop_assert_eq!(call.end_reason.is_none(), call.status.is_open());
            prop_assert!(!matches!(call.status, Status::Active | Status::Completed) || call.answered_at.is_some());
            prop_assert!(call.duration_seconds().is_none_or(|seconds| seconds >= 0));
            if !call.status.is_open() {
                prop_assert_eq!(call.next_deadline(&TIMINGS), None);
            }
            if let Some(due) = call.next_deadline(&TIMINGS) {
                let mut later = call.clone();
                later.tick(due, &TIMINGS);
                prop_assert!(!later.status.is_open(), "a deadline that passes has an effect");
            }
        }
    }
}
