// Prints JSON.stringify of each column of table matrix as the package pg reads it. See README.md.
const { Client } = require("pg");

async function main() {
  const client = new Client({ connectionString: process.argv[2] });
  await client.connect();
  console.error(`node ${process.version}, pg ${require("pg/package.json").version}`);
  await client.query("set timezone to 'UTC'");
  const { rows } = await client.query("select name from cases order by n");
  for (const { name } of rows) {
    try {
      const result = await client.query(`select ${name} from matrix`);
      console.log(`${name}\t${JSON.stringify(result.rows[0][name])}`);
    } catch (error) {
      console.log(`${name}\t! ${error.constructor.name}`);
    }
  }
  await client.end();
}

main();
