"""Secrets that only their place in a text gives away, planted in calls, commands, paths and prose, and texts that look
like them and hold none. Every password and name is drawn when the test runs."""

import random
import string
from collections.abc import Iterator

# § stands for the password.
CALLS = (
    'driver.find_element_by_id("password").send_keys("§")',
    "driver.find_element(By.XPATH, '//*[@id=\"pass\"]').send_keys('§' + Keys.RETURN)",
    'box = driver.find_element_by_name("passwd")\nbox.clear()\nbox.send_keys("§\\n")',
    "password_field.send_keys('§', Keys.ENTER)",
    'wait.until(EC.element_to_be_clickable((By.ID, "user_pass"))).send_keys("§")',
    'page.fill("#password", "§")',
    'page.get_by_label("Password").fill("§")',
    "browser.find_by_id('pwd').first.type('§')",
    'server.login("me@example.com", "§")',
    "imap.login(user, '§')",
    "models.login(db, 'joe', '§')",
    "requests.get(url, auth=HTTPBasicAuth('joe', '§'))",
    "requests.get(url, auth=('joe', '§'), verify=False)",
    'auth = (user, "§")',
    "HTTPDigestAuth('joe', '§')",
    'aiohttp.BasicAuth("joe", "§")',
    "HttpNtlmAuth('CORP\\\\joe', '§')",
    "pika.PlainCredentials('joe', '§')",
    "h.add_credentials('joe', '§')",
    "manager.add_password(None, top_url, 'joe', '§')",
    'GraphDatabase.driver(uri, auth=basic_auth("neo4j", "§"))',
    'Elasticsearch(hosts, http_auth=("joe", "§"))',
    'keyring.set_password("service", "joe", "§")',
    "pymysql.connect('localhost', 'joe', '§', 'shop')",
    'MySQLdb.connect("10.0.0.1", "joe", "§", "shop", charset="utf8")',
    "mysql.connector.connect(\n    host='localhost',\n    user='joe',\n    password='§')",
    "cx_Oracle.connect('joe', '§', 'db.corp/orcl')",
    "cx_Oracle.connect('joe/§@db.corp/orcl')",
    "ssh.connect('db.corp', 22, 'joe', '§')",
    'ssh.connect(hostname=host, port=22, username="joe", password="§", timeout=5)',
    "FTP('ftp.corp.com', 'joe', '§')",
    'psycopg2.connect("dbname=shop user=joe password=§ host=db.example.com")',
    "psycopg2.connect(\"host='h' user='joe' password='§'\")",
    "pyodbc.connect('DRIVER={SQL Server};SERVER=db;DATABASE=x;UID=joe;PWD=§')",
    'conn = "Server=db;Database=x;User Id=joe;Password=§;"',
    "url = 'jdbc:mysql://h:3306/x?user=joe&password=§'",
    'create_engine("postgresql://joe:§@db.corp:5432/x")',
    "proxies = {'http': 'http://joe:§@proxy.corp.com:8080'}",
    'passwords = ["§", "hello"]',
    "passwords = [\n    'letmein',\n    '§',\n]",
    'PASSWORDS = {"joe": "§", "ann": "x"}',
    "credentials = {'joe': '§'}",
    'credentials = [("joe", "§")]',
    "DATABASES = {'default': {'ENGINE': 'x', 'USER': 'joe', 'PASSWORD': '§'}}",
    "child.expect('password: ')\nchild.sendline('§')",
    'tn.read_until(b"Password: ")\ntn.write(b"§\\n")',
    "app.config['MAIL_PASSWORD'] = '§'",
)
COMMANDS = (
    "mysql -u joe -p§ shop",
    "mysqldump -ujoe -p'§' shop > shop.sql",
    "mysqldump --user=joe --password=§ shop",
    "mysql -u joe --password § shop",
    "subprocess.run(['mysql', '-ujoe', '-p§', 'shop'])",
    "os.system('mysql -u joe -p§ shop')",
    "PGPASSWORD=§ psql -h db",
    'export PGPASSWORD="§"',
    "MYSQL_PWD=§ mysql shop",
    "sshpass -p § ssh joe@db",
    "sshpass -p '§' scp x joe@db:",
    '["sshpass", "-p", "§", "ssh", "db"]',
    "curl -u joe:§ https://db.corp/x",
    'curl -X POST --user "joe:§" https://db.corp/x',
    "wget --http-user=joe --http-password=§ http://db.corp/x",
    "plink -ssh joe@db -pw § ls",
    "net use \\\\srv\\c$ /user:CORP\\joe §",
    "echo § | sudo -S apt update",
    "os.system(\"echo '§' | sudo -S ls\")",
    "smbclient //srv/c -U joe%§",
    "docker login -u joe -p § registry.corp.com",
    "redis-cli -a § ping",
    "mongo -u joe -p § shop",
    "twine upload -u joe -p § dist/*",
    "openssl rsa -passin pass:§ -in key",
    "machine db.corp login joe password §",
)
# § stands for the name of a person.
PATHS = (
    'File "/home/§/app/run.py", line 3',
    'File "/Users/§/lib/x.py", line 9',
    "FileNotFoundError: 'C:\\Users\\§\\Desktop\\in.csv'",
    '"C:\\\\Users\\\\§\\\\in.csv"',
    "pd.read_csv('C:/Users/§/in.csv')",
    "C:\\Documents and Settings\\§\\My Documents",
    "cd /mnt/c/Users/§/code",
    "(venv) C:\\Users\\§>python run.py",
    "os.chdir('/home/§')",
    "file:///home/§/x.html",
    "PYTHONPATH=/usr/lib:/home/§/lib",
    "gcc -I/home/§/include x.c",
    "/export/home/§/data is full",
)
NAMES = ("jsmith1984", "maria.gonzalez", "k_meier", "li-wei", "oconnor", "Anna", "T0098415")
NAMES_WITH_BLANKS = ("Jane Doe", "Juan Carlos Perez", "dell 3521")  # in paths of Windows only
PHONES = (
    "Call me on +1 415 555 0132.",
    "Call 415-555-0132 or (415) 555-0199.",
    "My number is +44 20 7946 0958, ask for Ann.",
    "WhatsApp: +4915155512345",
    "phone: 020 7946 0958",
    "call me at 1-800-555-0199 today",
    "[call](tel:+14155550132)",
)
STAY = (
    "password = getpass.getpass('password: ')\nresp = login(user, password)",
    "login('joe', getpass.getpass())",
    "auth=(os.environ['USER'], os.environ['PASS'])",
    "auth=('user', 'pass')",
    "auth=('api', 'your_api_key')",
    "auth=('joe', '***')",
    "auth=('joe', 'xxx')",
    "HTTPBasicAuth('<username>', '<your password>')",
    "auth=('{user}', '{password}')",
    "auth=('%s', '%s')",
    "login('myusername', 'mypassword')",
    "login('your.name@gmail.com', 'your_password')",
    "login('me@example.com', 'mypassword123')",
    "ftp.login('anonymous', 'joe@example.com')",
    "pymysql.connect('localhost', 'root', 'password', 'shop')",
    "pymysql.connect('localhost', 'root', '', 'shop')",
    "psycopg2.connect('dbname=test user=postgres password=postgres')",
    "psycopg2.connect(f'dbname=test user=u password={pw} host=h')",
    "psycopg2.connect('dbname=test user=u password=' + pw)",
    "connect(host=host, user=user, password=db_pass2)",
    "mysql -u root -p shop",
    "mysql -h h -P 3306 -u root -p$PW",
    "pip install mysql-python",
    "sshpass -p PASSWORD ssh db",
    'sshpass -p "$PASS" ssh db',
    "curl -u user:pass https://db.corp",
    'curl -u "$USER:$TOKEN" https://db.corp',
    "export PGPASSWORD=<password>",
    "PGPASSWORD=$PW psql",
    "docker run -p 8080:80 mongo",
    "elem.send_keys('password')",
    "password.send_keys(PASSWORD)",
    "driver.find_element_by_id('user').send_keys('jsmith99')",
    "driver.find_element_by_name('q').send_keys('selenium99')",
    "Fernet(key)\nFernet.generate_key()\nFernet(b'...')",
    "passwords = ['123456', 'password', 'qwerty', 'letmein']",
    "button.connect('clicked', self.on_click, 'button1a')",
    "authors = ['Ann B', 'Carl99']",
    "redirect('login', 'page1x')",
    "echo $PW | sudo -S ls",
    "path = '/home/user/app'\nprint('/Users/Shared/data')",
    "/home/app/x /home/ubuntu/x /home/pi/x.py /home/runner/work/x /home/ec2-user/x /home/vagrant/x",
    "C:\\Users\\Public\\x C:\\Users\\Default\\x C:\\Users\\All Users\\x C:\\Users\\Administrator\\x",
    "/home/<user>/x /home/$USER/x /home/{user}/x /home/%s/x C:\\Users\\%USERNAME%\\x /home/your_name/x",
    "https://blog.corp.com/home/jsmith/ https://api.corp.com/Users/jsmith",
    "path('home/', view)\n@app.route('/home/jsmith')\n<a href=\"/home/jsmith\">",
    "cd /home\nls /home/.config /home/index.html",
    "user@example.com, your_email@gmail.com, 192.0.2.5, 198.51.100.7, 127.0.0.1, 10.1.2.3, 8.8.8.8",
    "2001:db8::1, 3fff::1 and fe80::1",
    "call 1234567890 or 123-456-7890",
    "`415-555-0132` is code\n\n```\n+44 20 7946 0958\n```",
    "2018-12-20 11:22:33 +0530, 3.14159265358979, ISBN 978-3-16-148410-0, id 4155550132, order 200-300-4000",
)


def positives(rng: random.Random, rounds: int) -> Iterator[tuple[str, str, str]]:
    """(kind, text, the secret within it) for each text, with drawn passwords and names."""
    for _ in range(rounds):
        for kind, texts in (("call", CALLS), ("command", COMMANDS)):
            for text in texts:
                secret = _password(rng)
                yield kind, text.replace("§", secret), secret
        for text in PATHS:
            names = NAMES + NAMES_WITH_BLANKS if "Users\\" in text or "Settings" in text else NAMES
            if text.endswith(">python run.py"):
                names = NAMES
            name = rng.choice(names)
            yield "path", text.replace("§", name), name
    for text in PHONES:
        yield "phone", text, next(word for word in ("0132", "0958", "12345", "0199") if word in text)
    fernet = "".join(rng.choice(string.ascii_letters + string.digits) for _ in range(41)) + "k7="
    yield "fernet", f"f = Fernet(b'{fernet}')", fernet


def kind_of(planted_kind: str) -> str:
    """Return the kind of a label for a kind of planted secret."""
    if "password" in planted_kind.lower() or planted_kind in ("call", "command"):
        return "password"
    others = {"path": "name-in-path", "phone": "phone", "mail": "email", "mail with tag": "email"}
    return others.get(planted_kind, "ip" if planted_kind.startswith("ipv") else "key")


def _password(rng: random.Random) -> str:
    letters = "".join(rng.choice(string.ascii_letters) for _ in range(rng.randint(4, 8)))
    return letters + rng.choice("2579") + rng.choice(["", "!", "Kd", "x-Q"]) + str(rng.randint(2, 9))
