use super::*;
use std::ffi::OsString;

struct ConfigDir {
    here: tempfile::TempDir,
    flags: Flags,
    environment: Vec<(&'static str, OsString)>,
}

impl ConfigDir {
    fn new() -> Self {
        Self { here: tempfile::tempdir().unwrap(), flags: Flags::default(), environment: Vec::new() }
    }

    fn set(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.here.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }

    fn load(&self) -> anyhow::Result<Config> {
        let environment =
            |name: &str| self.environment.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone());
        Config::from_source(&Source::gather(&self.flags, environment, self.here.path())?)
    }

    fn refusal(&self) -> String {
        match self.load() {
            Ok(_) => panic!("it was taken"),
            Err(error) => format!("{error:#}"),
        }
    }
}

#[test]
fn without_anything_set_the_defaults_hold() {
    let config = ConfigDir::new().load().unwrap();
    assert_eq!(config.database_url, "sqlite://./data/parlance.db");
    assert_eq!(config.http.listen, "127.0.0.1:8080");
    assert_eq!(config.uploads, Uploads::Directory("./data/uploads".into()));
    assert_eq!((config.http.max_file_bytes, config.bcrypt_cost), (52_428_800, 10));
    assert_eq!((config.jwt_secret, config.http.proxies), (None, Proxies::default()));
    assert_eq!((config.http.max_connections, config.live.max, config.live.max_per_user), (25_000, 20_000, 50));
    assert!(Limit::ALL.into_iter().all(|limit| config.http.rates.of(limit).is_some()));
    assert_eq!(config.http.rates.of(Limit::Sends), Rate::parse("20/s:60").unwrap());
    assert_eq!((config.log.as_str(), config.log_format), ("info", LogFormat::Text));
    assert_eq!(config.policy.broadcasters, Broadcasters::Everyone);
    assert_eq!(config.policy.admins.keys().count(), 0);
}

#[test]
fn an_empty_flag_is_refused_with_its_keys_name() {
    let empty = || Some(String::new());
    for (flags, key) in [
        (Flags { database_url: empty(), ..Flags::default() }, "DATABASE_URL"),
        (Flags { data_dir: empty(), ..Flags::default() }, "PARLANCE_DATA_DIR"),
        (Flags { listen: empty(), ..Flags::default() }, "PARLANCE_LISTEN"),
    ] {
        let refusal = ConfigDir::new().set(key, "sqlite://other.db").flags(flags).refusal();
        assert!(refusal.starts_with(key) && refusal.contains("empty"), "{refusal}");
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let place = ConfigDir::new().file("parlance.toml", "PARLANCE_LISTEN = '127.0.0.1:1'\nPARLANCE_BCRYPT_COST = 5\n");
    assert_eq!(place.load().unwrap().http.listen, "127.0.0.1:1");
    let place = place.set("PARLANCE_LISTEN", "127.0.0.1:2");
    assert_eq!(place.load().unwrap().http.listen, "127.0.0.1:2");
    let place = place.flags(Flags { listen: Some("127.0.0.1:3".to_owned()), ..Flags::default() });
    let config = place.load().unwrap();
    assert_eq!((config.http.listen.as_str(), config.bcrypt_cost), ("127.0.0.1:3", 5));
    // An empty value is none.
    assert_eq!(ConfigDir::new().set("PARLANCE_BCRYPT_COST", "").load().unwrap().bcrypt_cost, 10);
}

#[test]
fn one_file_is_read_the_named_one_else_the_working_directorys_else_the_data_directorys() {
    let cost = |cost: u32| format!("PARLANCE_BCRYPT_COST = {cost}\n");
    let place = ConfigDir::new().set("PARLANCE_DATA_DIR", "elsewhere").file("elsewhere/parlance.toml", &cost(6));
    assert_eq!(place.load().unwrap().bcrypt_cost, 6);
    let place = place.file("parlance.toml", &cost(7));
    assert_eq!(place.load().unwrap().bcrypt_cost, 7);
    let named = |name: &str| Flags { config: Some(name.into()), ..Flags::default() };
    let place = place.file("other.toml", &cost(8)).flags(named("other.toml"));
    assert_eq!(place.load().unwrap().bcrypt_cost, 8);
    assert!(place.flags(named("missing.toml")).refusal().contains("missing.toml"));
}

#[test]
fn the_file_takes_numbers_and_lists_and_refuses_what_it_does_not_know() {
    let admins =
        ConfigDir::new().file("parlance.toml", "PARLANCE_ADMINS = ['Ann', 'bob']").load().unwrap().policy.admins;
    let mut keys: Vec<_> = admins.keys().collect();
    keys.sort_unstable();
    assert_eq!(keys, ["ann", "bob"]);
    for (text, named) in [
        ("PARLANCE_BCRYPT_COSTS = 5", "PARLANCE_BCRYPT_COSTS"),
        ("PARLANCE_RATE_LIMITS = true", "PARLANCE_RATE_LIMITS"),
        ("[PARLANCE_LOG]\nlevel = 1", "PARLANCE_LOG"),
        ("PARLANCE_LOG = ", "line 1:"),
        ("\nPARLANCE_LOG = ", "line 2:"),
        ("PARLANCE_LISTEN = ':0'\n# more\n= 1\n", "line 3:"),
        ("PARLANCE_LISTEN = ':0'\n  ?\n", "line 2:"),
    ] {
        let refusal = ConfigDir::new().file("parlance.toml", text).refusal();
        assert!(refusal.contains(named) && refusal.contains("parlance.toml"), "{refusal}");
    }
    let refusal = ConfigDir::new().file("data/parlance.toml", "PARLANCE_DATA_DIR = 'x'").refusal();
    assert!(refusal.contains("PARLANCE_DATA_DIR"), "{refusal}");
}

#[test]
fn a_bad_value_is_refused_with_its_keys_name_and_never_shown() {
    for (name, value) in [
        ("DATABASE_URL", "mysql://user:hush@host/db"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite://:memory:"),
        ("DATABASE_URL", "sqlite://a.db?mode=ro"),
        ("DATABASE_URL", "sqlite:///"),
        ("PARLANCE_LISTEN", "8080"),
        ("PARLANCE_LISTEN", "127.0.0.1:70000"),
        ("PARLANCE_LISTEN", "::1:80"),
        ("PARLANCE_JWT_SECRET", "hush-hush-hush-hush-hush-hush-3"),
        ("PARLANCE_FILES", "s3://key:hush@bucket/prefix"),
        ("PARLANCE_FILES", "s3://bucket?secret=hush"),
        ("PARLANCE_FILES", "/var/hush"),
        ("PARLANCE_NATS_URL", "nats://hush@host"),
        ("PARLANCE_MAX_FILE_BYTES", "lots"),
        ("PARLANCE_MAX_FILE_BYTES", "0"),
        ("PARLANCE_MAX_FILE_BYTES", "-1"),
        ("PARLANCE_ADMINS", "ann,b b"),
        ("PARLANCE_RATE_LIMITS", "maybe"),
        ("PARLANCE_BROADCAST", "nobody"),
        ("PARLANCE_EDIT_HISTORY", "everyone"),
        ("PARLANCE_BCRYPT_COST", "3"),
        ("PARLANCE_BCRYPT_COST", "16"),
        ("PARLANCE_BCRYPT_COST", "many"),
        ("PARLANCE_ALLOWED_ORIGINS", "https://hush.example.org/chat"),
        ("PARLANCE_TRUSTED_PROXIES", "10.0.0.0/8, hush"),
        ("PARLANCE_RATE_FAILED_LOGINS_ACCOUNT", "hush"),
        ("PARLANCE_RATE_FAILED_LOGINS_ADDRESS", "0/s"),
        ("PARLANCE_RATE_SIGN_UPS", "60"),
        ("PARLANCE_RATE_SENDS", "20/s:0"),
        ("PARLANCE_RATE_UPLOADS", "30/day"),
        ("PARLANCE_RATE_REQUESTS", "-1/s"),
        ("PARLANCE_MAX_CONNECTIONS", "0"),
        ("PARLANCE_MAX_SOCKETS", "many"),
        ("PARLANCE_MAX_SOCKETS_PER_USER", "0"),
        ("PARLANCE_MAX_UPLOADS_PER_USER", "0"),
        ("PARLANCE_MIN_UPLOAD_SPEED", "-1"),
        ("PARLANCE_LOG", "parlance=loud"),
        ("PARLANCE_LOG", "hush"),
        ("PARLANCE_LOG", "3"),
        ("PARLANCE_LOG_FORMAT", "xml"),
    ] {
        let refusal = ConfigDir::new().set(name, value).refusal();
        assert!(refusal.starts_with(name), "{refusal}");
        assert!(!refusal.contains("hush"), "{refusal}");
    }
}

#[test]
fn good_values_are_taken() {
    let secret = "0123456789abcdef0123456789abcdef";
    let config = ConfigDir::new()
        .set("DATABASE_URL", "sqlite:///var/lib/chat.db")
        .set("PARLANCE_LISTEN", ":0")
        .set("PARLANCE_DATA_DIR", "/srv/chat")
        .set("PARLANCE_JWT_SECRET", secret)
        .set("PARLANCE_FILES", "file:///srv/files")
        .set("PARLANCE_MAX_FILE_BYTES", "1")
        .set("PARLANCE_ADMINS", " Ann, bob ,")
        .set("PARLANCE_RATE_LIMITS", "off")
        .set("PARLANCE_RATE_SENDS", "1/s")
        .set("PARLANCE_MAX_CONNECTIONS", "7")
        .set("PARLANCE_MAX_SOCKETS", "6")
        .set("PARLANCE_MAX_SOCKETS_PER_USER", "5")
        .set("PARLANCE_MAX_UPLOADS_PER_USER", "4")
        .set("PARLANCE_MIN_UPLOAD_SPEED", "0")
        .set("PARLANCE_TRUSTED_PROXIES", "10.0.0.0/8, ::1")
        .set("PARLANCE_BROADCAST", "admins")
        .set("PARLANCE_BCRYPT_COST", "15")
        .set("PARLANCE_LOG", "warn,parlance=debug")
        .set("PARLANCE_LOG_FORMAT", "json")
        .load()
        .unwrap();
    assert_eq!(
        (config.database_url.as_str(), config.http.listen.as_str()),
        ("sqlite:///var/lib/chat.db", "127.0.0.1:0")
    );
    assert_eq!(config.jwt_secret.unwrap().expose(), secret.as_bytes());
    assert_eq!(config.data_dir, Path::new("/srv/chat"));
    assert_eq!(config.uploads, Uploads::Directory("/srv/files".into()));
    let bucket = ConfigDir::new().set("PARLANCE_FILES", "s3://chat-files/a").load().unwrap().uploads;
    assert_eq!(bucket, Uploads::Bucket(Bucket::parse("s3://chat-files/a").unwrap()));
    assert_eq!((config.http.max_file_bytes, config.bcrypt_cost, config.http.rates), (1, 15, Rates::off()));
    assert_eq!((config.http.max_connections, config.live.max, config.live.max_per_user), (7, 6, 5));
    assert_eq!(config.policy.uploads, UploadQuota(4));
    assert_eq!((config.http.min_upload_speed, config.http.proxies), (0, Proxies::parse("10.0.0.0/8,::1").unwrap()));
    let rates = ConfigDir::new()
        .set("PARLANCE_RATE_SENDS", "off")
        .set("PARLANCE_RATE_UPLOADS", "1/h:2")
        .load()
        .unwrap()
        .http
        .rates;
    assert_eq!((rates.of(Limit::Sends), rates.of(Limit::Uploads)), (None, Rate::parse("1/h:2").unwrap()));
    assert_eq!((config.policy.broadcasters, config.policy.admins.keys().count()), (Broadcasters::Admins, 2));
    for listen in ["localhost:80", "[::1]:80", "0.0.0.0:0"] {
        assert_eq!(ConfigDir::new().set("PARLANCE_LISTEN", listen).load().unwrap().http.listen, listen);
    }
}

#[test]
fn the_help_lists_every_key_with_its_default() {
    let help = help();
    for key in KEYS {
        assert!(help.contains(key.name) && help.contains(key.default));
    }
}
