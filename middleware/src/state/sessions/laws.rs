//! What an implementation of a store has to keep.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::BoxError;

use super::store::{SessionKey, SessionStore, Updated};

/// What `load` found no more.
const LOST: &str = "the store lost a session";
const HOUR: Duration = Duration::from_secs(3_600);

/// Tests that a store keeps what [`SessionStore`] says: for tests of implementations.
///
/// It makes some sessions with random keys, and removes them. Give it the store that programs use, with its network.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{MemorySessions, check_session_store};
///
/// # pollster::block_on(async {
/// check_session_store(MemorySessions::new(100)).await.unwrap();
/// # });
/// ```
///
/// # Errors
///
/// If the store fails, or does something else; the text says what it should do.
pub async fn check_session_store(store: impl SessionStore) -> Result<(), BoxError> {
    lifecycle(&store).await?;
    versions(&store).await?;
    removal(&store).await?;
    time(&store).await?;
    together(&store).await
}

fn new_key() -> Result<SessionKey, BoxError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    Ok(SessionKey::of_id(&id))
}

fn ensure(is_kept: bool, law: &str) -> Result<(), BoxError> {
    match is_kept {
        true => Ok(()),
        false => Err(format!("the store breaks a law: {law}").into()),
    }
}

async fn lifecycle(store: &impl SessionStore) -> Result<(), BoxError> {
    let (key, other) = (new_key()?, new_key()?);
    let none = store.load(&key).wait().await?;
    ensure(none.is_none(), "what was not created is not there")?;
    // Any bytes, none among them, come back.
    for content in [&b"\0\xff\r\n{}"[..], b""] {
        let content = Bytes::copy_from_slice(content);
        let is_new = store.create(&key, content.clone(), HOUR).wait().await?;
        ensure(is_new, "a session can be created if its key is free")?;
        let found = store.load(&key).wait().await?;
        let found = found.ok_or(LOST)?;
        ensure(found.content == content, "the content comes back as it was")?;
        let is_time = found.time_left <= HOUR && found.time_left > HOUR / 2;
        ensure(
            is_time,
            "the time that is left is that of the creation at first",
        )?;
        let is_new = store
            .create(&key, Bytes::from_static(b"x"), HOUR)
            .wait()
            .await?;
        ensure(!is_new, "a key that exists cannot be created again")?;
        let kept = store.load(&key).wait().await?.map(|kept| kept.content);
        ensure(
            kept == Some(content),
            "a creation that failed changes nothing",
        )?;
        ensure(
            store.load(&other).wait().await?.is_none(),
            "keys are separate",
        )?;
        ensure(
            store.remove(&key).wait().await?,
            "what exists can be removed",
        )?;
    }
    Ok(())
}

async fn versions(store: &impl SessionStore) -> Result<(), BoxError> {
    let key = new_key()?;
    store
        .create(&key, Bytes::from_static(b"0"), HOUR)
        .wait()
        .await?;
    let mut seen = Vec::new();
    for round in 1..4_u8 {
        let found = store.load(&key).wait().await?.ok_or(LOST)?;
        ensure(
            !seen.contains(&found.version),
            "each update makes another version",
        )?;
        let again = store.load(&key).wait().await?.map(|again| again.version);
        ensure(
            again == Some(found.version),
            "loading makes no other version",
        )?;
        ensure(
            store.touch(&key, HOUR).wait().await?,
            "what exists can be touched",
        )?;
        let touched = store.load(&key).wait().await?.map(|again| again.version);
        ensure(
            touched == Some(found.version),
            "touching makes no other version",
        )?;
        let content = Bytes::from(vec![round]);
        let updated = store.update(&key, found.version, content.clone(), HOUR);
        let updated = updated.wait().await?;
        ensure(
            updated == Updated::Saved,
            "the version that was loaded can be updated",
        )?;
        let late = store.update(&key, found.version, Bytes::from_static(b"late"), HOUR);
        let late = late.wait().await?;
        ensure(
            late == Updated::Conflict,
            "an older version cannot be updated",
        )?;
        let kept = store.load(&key).wait().await?.map(|kept| kept.content);
        ensure(
            kept == Some(content),
            "an update that failed changes nothing",
        )?;
        seen.push(found.version);
    }
    store.remove(&key).wait().await?;
    Ok(())
}

async fn removal(store: &impl SessionStore) -> Result<(), BoxError> {
    let key = new_key()?;
    store
        .create(&key, Bytes::from_static(b"0"), HOUR)
        .wait()
        .await?;
    let found = store.load(&key).wait().await?.ok_or(LOST)?;
    ensure(
        store.remove(&key).wait().await?,
        "what exists can be removed",
    )?;
    let late = store.update(&key, found.version, Bytes::from_static(b"1"), HOUR);
    let late = late.wait().await?;
    ensure(
        late == Updated::Missing,
        "an update does not bring a removed session back",
    )?;
    let touched = store.touch(&key, HOUR).wait().await?;
    ensure(!touched, "touching does not bring a removed session back")?;
    ensure(
        store.load(&key).wait().await?.is_none(),
        "what was removed is not there",
    )?;
    ensure(
        !store.remove(&key).wait().await?,
        "what was removed cannot be removed again",
    )
}

async fn time(store: &impl SessionStore) -> Result<(), BoxError> {
    let key = new_key()?;
    store
        .create(&key, Bytes::from_static(b"0"), Duration::ZERO)
        .wait()
        .await?;
    ensure(
        store.load(&key).wait().await?.is_none(),
        "a session whose time is over is not there",
    )?;
    let touched = store.touch(&key, HOUR).wait().await?;
    ensure(
        !touched,
        "touching does not bring a session back whose time is over",
    )?;
    let is_new = store
        .create(&key, Bytes::from_static(b"1"), HOUR)
        .wait()
        .await?;
    ensure(is_new, "the key of a session whose time is over is free")?;
    let found = store.load(&key).wait().await?.ok_or(LOST)?;
    store.touch(&key, HOUR * 2).wait().await?;
    let touched = store.load(&key).wait().await?.map(|found| found.time_left);
    ensure(touched > Some(HOUR), "touching starts the time anew")?;
    let updated = store.update(&key, found.version, Bytes::from_static(b"2"), HOUR * 3);
    updated.wait().await?;
    let updated = store.load(&key).wait().await?.map(|found| found.time_left);
    ensure(updated > Some(HOUR * 2), "an update starts the time anew")?;
    store.remove(&key).wait().await?;
    Ok(())
}

/// Four counters take turns, to 25 each: with versions, none of their updates is lost.
async fn together(store: &impl SessionStore) -> Result<(), BoxError> {
    let key = new_key()?;
    store
        .create(&key, Bytes::from_static(&[0; 8]), HOUR)
        .wait()
        .await?;
    let mut counters: Vec<_> = (0..4).map(|_| Box::pin(count(store, &key))).collect();
    let mut failure = Ok(());
    poll_fn(|context| {
        counters.retain_mut(|counter| match counter.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(Ok(())) => false,
            Poll::Ready(Err(error)) => {
                failure = Err(error);
                false
            }
        });
        match counters.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    failure?;
    let found = store.load(&key).wait().await?.ok_or(LOST)?;
    store.remove(&key).wait().await?;
    ensure(
        number(&found.content) == 100,
        "of two updates of a version, one is a conflict",
    )
}

async fn count(store: &impl SessionStore, key: &SessionKey) -> Result<(), BoxError> {
    for _ in 0..25 {
        loop {
            let found = store.load(key).wait().await?.ok_or(LOST)?;
            let next = Bytes::from((number(&found.content) + 1).to_be_bytes().to_vec());
            pause().await;
            match store.update(key, found.version, next, HOUR).wait().await? {
                Updated::Saved => break,
                Updated::Conflict => {}
                Updated::Missing => return Err(LOST.into()),
            }
        }
    }
    Ok(())
}

fn number(content: &[u8]) -> u64 {
    content
        .first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Lets the other counters go on.
async fn pause() {
    let mut is_over = false;
    poll_fn(|context| match std::mem::replace(&mut is_over, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}
