// A function for Segment on this machine: an HTTP server that stores each event as an object, as "Using AWS with
// Functions" of Segment's documentation describes. It assumes a role with an external ID, keeps the session for half
// an hour, and answers when S3 has stored the event.
//
// node server.mjs v2|v3, with LISTEN, ENDPOINT, REGION, BUCKET, ROLE_ARN and EXTERNAL_ID in the environment.

import http from "node:http";

const SESSION_MINUTES = 30;

const settings = {
  endpoint: process.env.ENDPOINT,
  region: process.env.REGION,
  bucket: process.env.BUCKET,
  roleArn: process.env.ROLE_ARN,
  externalId: process.env.EXTERNAL_ID,
};
// Version 2 opens a connection per request by default, and both limit the number of connections to 50.
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });

async function version2() {
  const { default: AWS } = await import("aws-sdk");
  const options = { region: settings.region, endpoint: settings.endpoint, httpOptions: { agent } };
  return {
    assumeRole: (request) => new AWS.STS(options).assumeRole(request).promise(),
    client: (keys) =>
      new AWS.S3({
        ...options,
        s3ForcePathStyle: true,
        credentials: new AWS.Credentials(keys.AccessKeyId, keys.SecretAccessKey, keys.SessionToken),
      }),
    putObject: (s3, request) => s3.putObject(request).promise(),
  };
}

async function version3() {
  const { S3Client, PutObjectCommand } = await import("@aws-sdk/client-s3");
  const { STSClient, AssumeRoleCommand } = await import("@aws-sdk/client-sts");
  const options = { region: settings.region, endpoint: settings.endpoint, requestHandler: { httpAgent: agent } };
  return {
    assumeRole: (request) => new STSClient(options).send(new AssumeRoleCommand(request)),
    client: (keys) =>
      new S3Client({
        ...options,
        forcePathStyle: true,
        credentials: {
          accessKeyId: keys.AccessKeyId,
          secretAccessKey: keys.SecretAccessKey,
          sessionToken: keys.SessionToken,
        },
      }),
    putObject: (s3, request) => s3.send(new PutObjectCommand(request)),
  };
}

/** Keeps the result of `load` for some minutes; concurrent callers share one call. */
function cached(minutes, load) {
  let result;
  let until = 0;
  return () => {
    if (Date.now() >= until) {
      until = Date.now() + minutes * 60_000;
      result = load().catch((error) => {
        until = 0;
        throw error;
      });
    }
    return result;
  };
}

const aws = await (process.argv[2] === "v2" ? version2() : version3());

const s3 = cached(SESSION_MINUTES, async () => {
  const session = await aws.assumeRole({
    RoleArn: settings.roleArn,
    RoleSessionName: "tributary-bench-node",
    ExternalId: settings.externalId,
  });
  return aws.client(session.Credentials);
});

async function onTrack(event) {
  await aws.putObject(await s3(), {
    Bucket: settings.bucket,
    Key: `${event.type}/${event.messageId}.json`,
    Body: JSON.stringify(event),
    ContentType: "application/json",
  });
}

function answer(response, status, body) {
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  response.end(body);
}

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", async () => {
    try {
      await onTrack(JSON.parse(Buffer.concat(chunks).toString()));
      answer(response, 200, '{"success":true}\n');
    } catch (error) {
      answer(response, 503, `${error}\n`);
    }
  });
});

const [host, port] = process.env.LISTEN.split(":");
server.listen(Number(port), host);
