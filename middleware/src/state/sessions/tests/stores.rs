//! Stores: one that needs time, one that fails, and memory.

use super::*;

/// A store that needs time, and fails if a test wants that.
struct Slow(MemorySessions, Arc<Mutex<bool>>);

impl Slow {
    fn later<T: Send + 'static>(&self, reply: StoreReply<T>) -> StoreReply<T> {
        let fails = *self.1.lock().unwrap();
        Eventual::from_future(async move {
            let mut is_over = false;
            std::future::poll_fn(|context| match std::mem::replace(&mut is_over, true) {
                true => std::task::Poll::Ready(()),
                false => {
                    context.waker().wake_by_ref();
                    std::task::Poll::Pending
                }
            })
            .await;
            match fails {
                true => Err("no route to the store".into()),
                false => reply.wait().await,
            }
        })
    }
}

impl SessionStore for Slow {
    fn load(&self, key: &SessionKey) -> StoreReply<Option<StoredSession>> {
        self.later(self.0.load(key))
    }

    fn create(&self, key: &SessionKey, content: Bytes, time: Duration) -> StoreReply<bool> {
        self.later(self.0.create(key, content, time))
    }

    fn update(
        &self,
        key: &SessionKey,
        version: u64,
        content: Bytes,
        time: Duration,
    ) -> StoreReply<Updated> {
        self.later(self.0.update(key, version, content, time))
    }

    fn touch(&self, key: &SessionKey, time: Duration) -> StoreReply<bool> {
        self.later(self.0.touch(key, time))
    }

    fn remove(&self, key: &SessionKey) -> StoreReply<bool> {
        self.later(self.0.remove(key))
    }

    fn describe(&self) -> Description {
        Description::new("Slow")
    }
}

#[test]
fn a_store_that_needs_time_and_one_that_fails() {
    let fails = Arc::new(Mutex::new(false));
    let store = Arc::new(Slow(MemorySessions::new(9), fails.clone()));
    let count = async |request: Request| -> Result<String, HttpError> {
        let session = Session::load(&request).await?;
        Ok(session
            .update("count", |count: Option<u64>| count.unwrap_or(0) + 1)?
            .to_string())
    };
    let mut user = Browser::new(&Client::new(
        Application::new(count).wrap(Sessions::new(store.clone())),
    ));
    assert_eq!([user.text("/"), user.text("/")], ["1", "2"]);

    let reported = Arc::new(AtomicU64::new(0));
    let report = reported.clone();
    let lenient = Sessions::new(store.clone()).ignore_failures(move |error: &BoxError| {
        assert_eq!(error.to_string(), "no route to the store");
        report.fetch_add(1, Ordering::Relaxed);
    });
    let mut lenient = Browser::new(&Client::new(Application::new(count).wrap(lenient)));
    *fails.lock().unwrap() = true;
    let cookie = user.cookie.clone().expect("a cookie");
    let response = user.client.get("/").header("cookie", &cookie).send();
    assert_eq!(
        (response.status().as_u16(), response.header("set-cookie")),
        (503, None)
    );
    lenient.cookie = user.cookie.clone();
    assert_eq!(lenient.get("/"), ("1".into(), None));
    // Loading and creating.
    assert_eq!(reported.load(Ordering::Relaxed), 2);
    *fails.lock().unwrap() = false;
    assert_eq!(user.text("/"), "3");

    // A closure that is not async cannot wait.
    let client = Client::new(Application::new(app).wrap(Sessions::new(store)));
    let response = client.get("/get").header("cookie", &cookie).send();
    assert_eq!(response.status(), 500);
}

#[test]
fn stores_keep_their_laws() {
    let slow = Slow(MemorySessions::new(100), Arc::default());
    pollster::block_on(async {
        crate::check_session_store(MemorySessions::new(100))
            .await
            .unwrap();
        crate::check_session_store(slow).await.unwrap();
    });
    /// Adopts what was removed.
    struct Resurrects(MemorySessions);
    impl SessionStore for Resurrects {
        fn load(&self, key: &SessionKey) -> StoreReply<Option<StoredSession>> {
            self.0.load(key)
        }
        fn create(&self, key: &SessionKey, content: Bytes, time: Duration) -> StoreReply<bool> {
            self.0.create(key, content, time)
        }
        fn update(
            &self,
            key: &SessionKey,
            version: u64,
            content: Bytes,
            time: Duration,
        ) -> StoreReply<Updated> {
            let store = self.0.clone();
            let key = *key;
            self.0
                .update(&key, version, content.clone(), time)
                .map(move |updated| {
                    if let Ok(Updated::Missing) = updated {
                        drop(store.create(&key, content, time));
                        return Ok(Updated::Saved);
                    }
                    updated
                })
        }
        fn touch(&self, key: &SessionKey, time: Duration) -> StoreReply<bool> {
            self.0.touch(key, time)
        }
        fn remove(&self, key: &SessionKey) -> StoreReply<bool> {
            self.0.remove(key)
        }
        fn describe(&self) -> Description {
            Description::new("Resurrects")
        }
    }
    let store = Resurrects(MemorySessions::new(100));
    let error = pollster::block_on(crate::check_session_store(store)).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("does not bring a removed session back"),
        "{error}"
    );
}

#[test]
fn memory_is_bounded_and_the_oldest_make_room() {
    let clock = Clock::new();
    let timer = clock.clone();
    let store = MemorySessions::new(1_000).clock(move || timer.since());
    let keys: Vec<_> = (0..20_000_u32)
        .map(|id| SessionKey::of_id(&id.to_be_bytes()))
        .collect();
    let hour = Duration::from_secs(3_600);
    let create = |key: &SessionKey| {
        assert!(
            store
                .create(key, Bytes::from_static(b"x"), hour)
                .try_into_ready()
                .unwrap()
                .unwrap()
        );
    };
    let is_there = |key: &SessionKey| store.load(key).try_into_ready().unwrap().unwrap().is_some();
    keys[..500].iter().for_each(create);
    clock.wait(60);
    for (at, key) in keys[500..].iter().enumerate() {
        create(key);
        // These are used all the time.
        if at % 50 == 0 {
            for used in &keys[..10] {
                drop(store.touch(used, hour * 2));
            }
        }
        assert!(store.len() <= 1_000 + 16);
    }
    assert!(keys[..10].iter().all(is_there));
    assert!(!keys[10..500].iter().any(is_there));
}
