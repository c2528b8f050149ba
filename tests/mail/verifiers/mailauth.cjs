// Judges the mails on standard input with mailauth, whose folder is the argument. Asks no DNS: records come along.
// In: {"records": {name: value}, "mails": [base64]}. Out: for each mail a list of {d, s, a, result, why, signed}.
const { createRequire } = require("node:module");
const { dkimVerify } = createRequire(`${process.argv[2]}/`)("mailauth/lib/dkim/verify");

const chunks = [];
process.stdin.on("data", (chunk) => chunks.push(chunk));
process.stdin.on("end", async () => {
  const { records, mails } = JSON.parse(Buffer.concat(chunks).toString());
  const resolver = async (name, type) => {
    const value = type === "TXT" && records[name];
    if (!value) throw Object.assign(new Error(`no ${name}`), { code: "ENOTFOUND" });
    return [value.match(/.{1,255}/g)];
  };
  const verdicts = [];
  for (const mail of mails) {
    const { results } = await dkimVerify(Buffer.from(mail, "base64"), { resolver });
    verdicts.push(
      results
        .filter((found) => found.signingDomain)
        .map((found) => ({
          d: found.signingDomain,
          s: found.selector,
          a: found.algo,
          result: found.status.result,
          why: found.status.comment || "",
          signed: (found.signingHeaders || { keys: "" }).keys,
        })),
    );
  }
  process.stdout.write(JSON.stringify(verdicts));
});
