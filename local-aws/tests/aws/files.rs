//! Tests of the file store over HTTP: keys stay in their bucket, and one of many writers wins.

use tributary_local_aws::Store;

use crate::support::{ACCOUNTS, Aws, admin, outcome};

#[tokio::test]
async fn objects_are_files_and_stay_in_their_bucket() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let aws = Aws::start_with_store(ACCOUNTS, Store::files(&data).unwrap()).await;
    let s3 = aws.s3("us-west-2", admin());
    let put = |key: &str| {
        let put = s3.put_object().bucket("lake").key(key).if_none_match("*");
        put.body(b"{}".to_vec().into()).send()
    };
    assert_eq!(outcome(put("track/1 é.json").await), "ok");
    assert_eq!(outcome(put("track/1 é.json").await), "412 PreconditionFailed");
    assert_eq!(std::fs::read(data.join("lake/track/1 é.json")).unwrap(), b"{}");

    let long = "x".repeat(256);
    for key in ["../escaped", "a/../../../escaped", "./a", "a//b", "a/", "..", &long] {
        assert_eq!(outcome(put(key).await), "400 InvalidRequest", "{key:?}");
    }
    for encoded in ["%2e%2e/escaped", "a/%2e%2e%2f%2e%2e%2fescaped"] {
        let answer = aws
            .raw(&format!("PUT /lake/{encoded} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
    let names = |dir: &std::path::Path| {
        let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(dir.path()), ["data"]);
    assert_eq!(names(&data), [".tributary", "lake"]);
    assert_eq!(names(&data.join("lake")), ["track"]);
    assert!(names(&data.join(".tributary/tmp")).is_empty());
}

#[tokio::test]
async fn of_concurrent_writers_of_a_file_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let aws = Aws::start_with_store(ACCOUNTS, Store::files(dir.path()).unwrap()).await;
    // Two servers that share nothing but the directory.
    let other = Aws::start_with_store(ACCOUNTS, Store::files(dir.path()).unwrap()).await;
    let clients = [aws.s3("us-west-2", admin()), other.s3("us-west-2", admin())];
    let writers: Vec<_> = (0..32_u8)
        .map(|n| {
            let put = clients[usize::from(n % 2)].put_object().bucket("lake").key("a/race");
            tokio::spawn(put.if_none_match("*").body(vec![n].into()).send())
        })
        .collect();
    let mut winner = Vec::new();
    for (n, writer) in writers.into_iter().enumerate() {
        match outcome(writer.await.unwrap()).as_str() {
            "ok" => winner.push(n),
            other => assert_eq!(other, "412 PreconditionFailed"),
        }
    }
    let stored = std::fs::read(dir.path().join("lake/a/race")).unwrap();
    assert_eq!(winner, [usize::from(stored[0])]);
}
