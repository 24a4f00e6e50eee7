//! Tests of PutObject: what is stored, conditional writes, checksums, and what is refused.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use tributary_local_aws::Store;

use crate::support::{ACCOUNTS, Aws, KEY, admin, outcome};

async fn start() -> (Aws, aws_sdk_s3::Client) {
    let aws = Aws::start(ACCOUNTS).await;
    let s3 = aws.s3("us-west-2", admin());
    (aws, s3)
}

fn put(s3: &aws_sdk_s3::Client, key: &str) -> PutObjectFluentBuilder {
    s3.put_object().bucket("lake").key(key).body(b"{\"n\":1}".to_vec().into())
}

#[tokio::test]
async fn a_consumer_receives_every_object_and_none_is_kept() {
    let (sender, objects) = std::sync::mpsc::channel();
    let store = Store::consumer(move |object| sender.send((object.key, object.body)).expect("the test receives"));
    let aws = Aws::start_with_store(ACCOUNTS, store).await;
    let s3 = aws.s3("us-west-2", admin());
    for _ in 0..2 {
        put(&s3, "a").if_none_match("*").send().await.unwrap();
        assert_eq!(objects.try_recv().unwrap(), ("a".to_owned(), (&b"{\"n\":1}"[..]).into()));
    }
    assert!(aws.local.objects().is_empty());
}

#[tokio::test]
async fn an_object_is_stored_with_its_headers() {
    let (aws, s3) = start().await;
    let answer = put(&s3, "in/é +%~/a b.json")
        .content_type("application/json")
        .content_encoding("gzip")
        .tagging("team=data&cost%20centre=a%2Fb")
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .ssekms_key_id(KEY)
        .storage_class(StorageClass::StandardIa)
        .expected_bucket_owner("111122223333");
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.ssekms_key_id(), Some(KEY));
    assert!(answer.checksum_crc32().is_some());

    let object = &aws.local.objects()[0];
    assert_eq!((object.bucket.as_str(), object.key.as_str()), ("lake", "in/é +%~/a b.json"));
    assert_eq!(&object.body[..], b"{\"n\":1}");
    assert_eq!(object.content_type.as_deref(), Some("application/json"));
    assert_eq!(object.content_encoding.as_deref(), Some("gzip"));
    let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(object.tags, [tag("team", "data"), tag("cost centre", "a/b")]);
    assert_eq!(object.encryption.as_deref(), Some("aws:kms"));
    assert_eq!(object.kms_key_id.as_deref(), Some(KEY));
    assert_eq!(object.storage_class.as_deref(), Some("STANDARD_IA"));

    let call = aws.local.calls().pop().unwrap();
    assert_eq!(call.key.as_deref(), Some("in/é +%~/a b.json"));
    assert_eq!(call.caller.as_deref(), Some("arn:aws:iam::111122223333:user/admin"));
}

#[tokio::test]
async fn a_conditional_write_succeeds_once_per_key() {
    let (aws, s3) = start().await;
    assert_eq!(outcome(put(&s3, "a").if_none_match("*").send().await), "ok");
    assert_eq!(outcome(put(&s3, "a").if_none_match("*").send().await), "412 PreconditionFailed");
    assert_eq!(aws.local.objects()[0].puts, 1);
    assert_eq!(outcome(put(&s3, "a").send().await), "ok");
    assert_eq!(aws.local.objects()[0].puts, 2);
}

#[tokio::test]
async fn of_concurrent_writers_one_wins() {
    let (aws, s3) = start().await;
    let writers: Vec<_> = (0..32).map(|_| tokio::spawn(put(&s3, "race").if_none_match("*").send())).collect();
    let mut won = 0;
    for writer in writers {
        match outcome(writer.await.unwrap()).as_str() {
            "ok" => won += 1,
            other => assert_eq!(other, "412 PreconditionFailed"),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(aws.local.objects()[0].puts, 1);
}

#[tokio::test]
async fn content_that_does_not_match_its_checksum_is_refused() {
    let (aws, s3) = start().await;
    let md5 = put(&s3, "a").content_md5("1B2M2Y8AsgTpgAmY7PhCfg==");
    assert_eq!(outcome(md5.send().await), "400 BadDigest");
    let crc = put(&s3, "a").checksum_crc32("AAAAAA==");
    assert_eq!(outcome(crc.send().await), "400 BadDigest");
    let sha = put(&s3, "a").checksum_sha256("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!(outcome(sha.send().await), "400 BadDigest");
    let empty = put(&s3, "a").content_md5("not base64!");
    assert_eq!(outcome(empty.send().await), "400 InvalidDigest");
    assert!(aws.local.objects().is_empty());
}

#[tokio::test]
async fn a_stream_with_a_trailing_checksum_is_stored() {
    let (aws, s3) = start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("body");
    let content = vec![b'x'; 200_000];
    std::fs::write(&file, &content).unwrap();
    let body = aws_sdk_s3::primitives::ByteStream::from_path(&file).await.unwrap();
    assert_eq!(outcome(put(&s3, "stream").body(body).send().await), "ok");
    let object = &aws.local.objects()[0];
    assert_eq!(object.body.len(), content.len());
    assert_eq!(&object.body[..], content);
}

#[tokio::test]
async fn invalid_and_unsupported_requests_are_refused() {
    let (aws, s3) = start().await;
    let long = "k".repeat(1025);
    assert_eq!(outcome(put(&s3, &long).send().await), "400 KeyTooLongError");
    assert_eq!(outcome(put(&s3, &long[1..]).send().await), "ok");
    let class = put(&s3, "a").storage_class(StorageClass::from("COLD"));
    assert_eq!(outcome(class.send().await), "400 InvalidStorageClass");
    let tags = put(&s3, "a").tagging("a=1&a=2");
    assert_eq!(outcome(tags.send().await), "400 InvalidTag");
    let etag = put(&s3, "a").if_match("\"x\"");
    assert_eq!(outcome(etag.send().await), "501 NotImplemented");
    let owner = put(&s3, "a").expected_bucket_owner("444455556666").send().await.unwrap_err();
    assert_eq!(owner.code(), Some("AccessDenied"));
    assert_eq!(owner.message(), Some("Access Denied"));
    let missing = put(&s3, "a").bucket("nowhere").send().await;
    assert_eq!(outcome(missing), "404 NoSuchBucket");
    let read = s3.get_object().bucket("lake").key("a").send().await;
    assert_eq!(outcome(read), "501 NotImplemented");
    assert_eq!(aws.local.objects().len(), 1);
}
